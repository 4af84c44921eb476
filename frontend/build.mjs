// Builds the page: TypeScript and CSS into hashed files, index.html, and the licences of what is bundled.
// `node build.mjs [target folder]`; the colours with a meaning come from the report's palette.
import { build } from "esbuild";
import { createHash } from "node:crypto";
import { existsSync, mkdirSync, readdirSync, readFileSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { basename, dirname, join, resolve } from "node:path";
import { fileURLToPath } from "node:url";

const here = dirname(fileURLToPath(import.meta.url));
const target = resolve(process.argv[2] ?? join(here, "../src/neurolysis/workstation/static"));
const PALETTE = join(here, "../src/neurolysis/report/palette.py");
const MEANINGS = ["NERVE", "LESION", "ISOTHERM", "DANGER"];

/** The four colours with a meaning, read from the one place that defines them. */
function palette() {
  const text = readFileSync(PALETTE, "utf8");
  return Object.fromEntries(
    MEANINGS.map((name) => {
      const found = text.match(new RegExp(`^${name} = "(#[0-9A-Fa-f]{6})"$`, "m"));
      if (!found) throw new Error(`${PALETTE}: no colour ${name}`);
      return [name.toLowerCase(), found[1]];
    }),
  );
}

const colours = palette();
const paletteCss = `:root {\n${Object.entries(colours).map(([name, value]) => `  --${name}: ${value};`).join("\n")}\n}\n`;

/** `import colours from "palette"` and `@import "palette.css"` give what the report uses. */
const palettePlugin = {
  name: "palette",
  setup(setup) {
    setup.onResolve({ filter: /^palette(\.css)?$/ }, (found) => ({ path: found.path, namespace: "palette" }));
    setup.onLoad({ filter: /.*/, namespace: "palette" }, (found) =>
      found.path.endsWith(".css")
        ? { contents: paletteCss, loader: "css" }
        : { contents: `export default ${JSON.stringify(colours)};`, loader: "js" },
    );
  },
};

/** Name, version and licence text of every package that went into the bundle. */
function licences(inputs) {
  const names = new Set();
  for (const input of inputs) {
    const found = input.match(/node_modules\/((?:@[^/]+\/)?[^/]+)\//g)?.at(-1);
    if (found) names.add(found.slice("node_modules/".length, -1));
  }
  return [...names].sort().map((name) => {
    const folder = join(here, "node_modules", name);
    const about = JSON.parse(readFileSync(join(folder, "package.json"), "utf8"));
    const file = readdirSync(folder).find((one) => /^licen[cs]e/i.test(one));
    const text = file ? readFileSync(join(folder, file), "utf8").trim() : "(no licence file in the package)";
    return `${name} ${about.version}: ${about.license ?? "see below"}\n\n${text}\n`;
  }).join(`\n${"-".repeat(80)}\n\n`);
}

const work = `${target}.new-${process.pid}`;
rmSync(work, { recursive: true, force: true });
mkdirSync(work, { recursive: true });
const result = await build({
  absWorkingDir: here,
  entryPoints: { page: "src/main.tsx" },
  outdir: work,
  bundle: true,
  splitting: true,
  format: "esm",
  target: ["es2022"],
  minify: !process.argv.includes("--readable"),
  sourcemap: process.argv.includes("--readable"),
  metafile: true,
  entryNames: "[name]-[hash]",
  chunkNames: "[name]-[hash]",
  assetNames: "[name]-[hash]",
  legalComments: "none",
  jsx: "automatic",
  jsxImportSource: "preact",
  plugins: [palettePlugin],
  define: { "process.env.NODE_ENV": '"production"', __BASE_PATH__: '"/static"' },
  logLevel: "warning",
});
const files = readdirSync(work);
const script = files.find((name) => /^page-\w+\.js$/.test(name));
const style = files.find((name) => /^page-\w+\.css$/.test(name));
if (!script || !style) throw new Error(`the page's script or style is missing: ${files.join(", ")}`);
const html = readFileSync(join(here, "src/index.html"), "utf8");
writeFileSync(join(work, "index.html"), html.replace("{{script}}", `/static/${script}`).replace("{{style}}", `/static/${style}`));
writeFileSync(join(work, "icon.svg"), readFileSync(join(here, "src/icon.svg")));
writeFileSync(join(work, "THIRD_PARTY.txt"), licences(Object.keys(result.metafile.inputs)));
const sums = readdirSync(work).sort().map((name) => {
  const sum = createHash("sha256").update(readFileSync(join(work, name))).digest("hex");
  return `${sum}  ${name}`;
});
writeFileSync(join(work, "SHA256SUMS"), `${sums.join("\n")}\n`);
const old = `${target}.old-${process.pid}`;
if (existsSync(target)) renameSync(target, old);
renameSync(work, target);
rmSync(old, { recursive: true, force: true });
const total = Object.values(result.metafile.outputs).reduce((sum, one) => sum + one.bytes, 0);
console.log(`${basename(target)}: ${readdirSync(target).length} files, ${(total / 1024).toFixed(0)} kB`);
