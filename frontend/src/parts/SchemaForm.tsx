// A form made from a JSON Schema: the protocol of any technique, without knowing which.
import { useState } from "preact/hooks";
import type { Json, Schema } from "../model/types.ts";
import { capital, labelOf, plain } from "../model/words.ts";
import { bounds, effective, isQuantity, named, outside, resolve } from "./schema.ts";
import { CheckField, NumberField, SelectField, TextField } from "./ui.tsx";

type Values = Record<string, Json>;

interface Props {
  schema: Schema;
  value: Values;
  onChange: (name: string, value: Json) => void;
}

const HIDDEN = new Set(["technique", "schema_version"]);

export function SchemaForm(props: Props) {
  const schema = effective(props.schema, props.value);
  const fields = Object.entries(schema.properties ?? {}).filter(([name]) => !HIDDEN.has(name));
  const required = new Set(schema.required ?? []);
  const simple = fields.filter(([, one]) => isSimple(one, schema));
  const given = (name: string) => props.value[name] !== null && props.value[name] !== undefined && props.value[name] !== "";
  const first = simple.filter(([name, one]) => required.has(name) || hasDefault(one) || given(name));
  const further = simple.filter((one) => !first.includes(one));
  const lists = fields.filter(([, one]) => listOf(one, schema));
  const draw = ([name, one]: [string, Schema]) => <One key={name} name={name} schema={one} root={schema} required={required.has(name)} value={props.value[name]} onChange={(value) => props.onChange(name, value)} />;
  return (
    <div class="stack">
      <div class="fields">{first.map(draw)}</div>
      {lists.map(([name, one]) => <List key={name} name={name} schema={one} root={schema} value={props.value[name]} onChange={(value) => props.onChange(name, value)} />)}
      {further.length > 0 && <details><summary>Further settings ({further.length})</summary><div class="fields">{further.map(draw)}</div></details>}
    </div>
  );
}

const KINDS: Record<string, string> = { mL: "volume", "%": "strength" };

/** Two fields may differ by their unit alone (`admixture`, `admixture_ml`): then the label says which. */
function isShared(name: string, root: Schema): boolean {
  const { label } = labelOf(name);
  return Object.keys(root.properties ?? {}).some((other) => other !== name && labelOf(other).label === label);
}

function hasDefault(schema: Schema): boolean {
  return schema.default !== undefined && schema.default !== null && schema.default !== "";
}

function isSimple(schema: Schema, root: Schema): boolean {
  const { schema: found } = resolve(schema, root);
  return Boolean(found.enum || found.oneOf || found.const !== undefined || isQuantity(found)) || ["number", "integer", "string", "boolean"].includes(found.type ?? "");
}

/** The schema of one entry, where the field is a list of records. */
function listOf(schema: Schema, root: Schema): Schema | null {
  const { schema: found } = resolve(schema, root);
  const item = found.type === "array" && found.items ? resolve(found.items, root).schema : null;
  return item?.type === "object" ? item : null;
}

function One(props: { name: string; schema: Schema; root: Schema; required: boolean; value: Json | undefined; onChange: (value: Json) => void }) {
  const { schema, nullable } = resolve(props.schema, props.root);
  const { label, unit } = labelOf(props.name);
  const title = isShared(props.name, props.root) ? `${label}, ${KINDS[unit] ?? (unit || "what")}` : label;
  const value = props.value === undefined ? (schema.default ?? null) : props.value;
  const empty = nullable || !props.required ? { empty: "not set" } : props.value === undefined && !hasDefault(schema) ? { empty: "choose" } : {};
  const titled = named(schema);
  if (titled) {
    return <SelectField label={title} value={value === null ? "" : String(value)} options={titled.map((one) => ({ ...one, label: capital(one.label) }))} hint={schema.description ?? ""} onChange={(text) => props.onChange(text || null)} {...(hasDefault(schema) ? {} : empty)} />;
  }
  if (schema.enum) {
    const options = schema.enum.filter((one) => one !== null).map((one) => ({ value: String(one), label: capital(plain(String(one))) }));
    return <SelectField label={title} value={value === null ? "" : String(value)} options={options} hint={schema.description ?? ""} onChange={(text) => props.onChange(text === "" ? null : (schema.enum?.find((one) => String(one) === text) ?? text))} {...(hasDefault(schema) ? {} : empty)} />;
  }
  if (schema.type === "boolean") return <div class="field"><span class="label">{title}</span><CheckField label="Yes" value={value === true} onChange={props.onChange} /></div>;
  if (schema.type === "number" || schema.type === "integer") {
    const limits = bounds(schema);
    const wrong = outside(schema, value) || (props.required && value === null ? "Needed." : "");
    return <NumberField label={title} unit={unit} value={typeof value === "number" ? value : null} wrong={wrong} hint={[limits, schema.description ?? ""].filter(Boolean).join("; ")} step={schema.type === "integer" ? 1 : "any"} onChange={props.onChange} />;
  }
  if (isQuantity(schema)) return <Quantity title={title} unit={unit} value={value as Values | null} nullable={nullable} onChange={props.onChange} />;
  return <TextField label={title} value={typeof value === "string" ? value : ""} hint={schema.description ?? ""} onChange={(text) => props.onChange(text === "" && nullable ? null : text)} />;
}

const ASSUMED = "assumption: ";

/** A number never goes without where it comes from: entered by the site, or assumed for a reason. */
function Quantity(props: { title: string; unit: string; value: Values | null; nullable: boolean; onChange: (value: Json) => void }) {
  const [number, setNumber] = useState<number | null>(null);
  const value = typeof props.value?.["value"] === "number" ? props.value["value"] : number;
  const source = typeof props.value?.["source"] === "string" ? props.value["source"] : "";
  const put = (next: number | null, words: string) => {
    setNumber(next);
    if (next === null) return props.onChange(null);
    if (!words.trim() && !props.value) return undefined;
    return props.onChange({ ...(props.value ?? {}), value: next, unit: props.value?.["unit"] ?? props.unit, basis: words.startsWith(ASSUMED) ? "assumption" : (props.value?.["basis"] ?? "site"), source: words });
  };
  return (
    <>
      <NumberField label={props.title} unit={String(props.value?.["unit"] ?? props.unit)} value={value} onChange={(next) => put(next, source)} hint={props.nullable ? "Empty: the program's own record." : ""} />
      <TextField label={`${props.title}: where from`} value={source} hint={`Who measured or read it, or “${ASSUMED}why”.`} wrong={value !== null && !source.trim() ? "Needed." : ""} onChange={(words) => put(value, words)} />
    </>
  );
}

function List(props: { name: string; schema: Schema; root: Schema; value: Json | undefined; onChange: (value: Json) => void }) {
  const item = listOf(props.schema, props.root)!;
  const rows = (Array.isArray(props.value) ? props.value : []) as Values[];
  const title = labelOf(props.name).label;
  const inner = { ...item, $defs: props.root.$defs ?? {} };
  const set = (k: number, name: string, value: Json) => props.onChange(rows.map((row, other) => {
    if (other !== k) return row;
    const next = { ...row, [name]: value };
    if (value === null) delete next[name];
    return next;
  }));
  return (
    <div class="stack tight">
      <div class="row between"><h3>{title} <span class="muted small">{rows.length || "none"}</span></h3><button onClick={() => props.onChange([...rows, {}])}>Add to {title.toLowerCase()}</button></div>
      {item.description && rows.length > 0 && <p class="small muted">{item.description.split("\n")[0]!.replaceAll("`", "")}</p>}
      {rows.map((row, k) => (
        <fieldset class="stack tight" key={k}>
          <legend>{title} {k + 1} <button class="plain" onClick={() => props.onChange(rows.filter((_, other) => other !== k))} aria-label={`Remove ${title.toLowerCase()} ${k + 1}`}>Remove</button></legend>
          <SchemaForm schema={inner} value={row} onChange={(name, value) => set(k, name, value)} />
        </fieldset>
      ))}
    </div>
  );
}
