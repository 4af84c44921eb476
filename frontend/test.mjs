// Bundles the unit tests and runs them with node's own runner.
import { build } from "esbuild";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { spawnSync } from "node:child_process";
import { fileURLToPath } from "node:url";

const here = dirname(fileURLToPath(import.meta.url));
const folder = mkdtempSync(join(tmpdir(), "page-test-"));
const palette = { name: "palette", setup: (setup) => {
  setup.onResolve({ filter: /^palette$/ }, () => ({ path: "palette", namespace: "palette" }));
  setup.onLoad({ filter: /.*/, namespace: "palette" }, () => ({ contents: "export default {}", loader: "js" }));
} };
try {
  await build({ absWorkingDir: here, entryPoints: ["test/units.test.ts"], outfile: join(folder, "units.test.mjs"), bundle: true, platform: "node", format: "esm", jsx: "automatic", jsxImportSource: "preact", plugins: [palette], external: ["./view3d.ts"], logLevel: "warning" });
  const done = spawnSync(process.execPath, ["--test", "--test-reporter=tap", join(folder, "units.test.mjs")], { stdio: "inherit" });
  process.exitCode = done.status ?? 1;
} finally {
  rmSync(folder, { recursive: true, force: true });
}
