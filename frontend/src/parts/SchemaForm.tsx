// A form made from a JSON Schema: the protocol of any technique, without knowing which.
import type { Json, Schema } from "../model/types.ts";
import { capital, labelOf, plain } from "../model/words.ts";
import { CheckField, NumberField, SelectField, TextField } from "./ui.tsx";

interface Props {
  schema: Schema;
  value: Record<string, Json>;
  onChange: (name: string, value: Json) => void;
  /** Problems by field name. */
  wrong?: Record<string, string>;
}

const HIDDEN = new Set(["technique", "schema_version"]);

/** The schema without references and without "or null"; `nullable` says whether it may be empty. */
export function resolve(schema: Schema, root: Schema): { schema: Schema; nullable: boolean } {
  let found = schema;
  let nullable = false;
  for (let depth = 0; depth < 8; depth++) {
    if (found.$ref) {
      const name = found.$ref.split("/").at(-1) ?? "";
      found = { ...(root.$defs?.[name] ?? {}), ...withoutRef(found) };
    } else if (found.anyOf) {
      const real = found.anyOf.filter((one) => one.type !== "null");
      nullable ||= real.length < found.anyOf.length;
      found = { ...withoutAny(found), ...(real[0] ?? {}) };
    } else if (found.allOf?.length === 1) found = { ...found, ...found.allOf[0], allOf: [] };
    else break;
  }
  return { schema: found, nullable };
}

function withoutRef(schema: Schema): Schema {
  const { $ref: _, ...rest } = schema;
  return rest;
}

function withoutAny(schema: Schema): Schema {
  const { anyOf: _, ...rest } = schema;
  return rest;
}

export function SchemaForm(props: Props) {
  const fields = Object.entries(props.schema.properties ?? {}).filter(([name]) => !HIDDEN.has(name));
  const required = new Set(props.schema.required ?? []);
  const simple = fields.filter(([name, one]) => isSimple(one, props.schema) && (required.has(name) || hasDefault(one)));
  const rest = fields.filter(([name, one]) => isSimple(one, props.schema) && !simple.some(([other]) => other === name));
  const filled = rest.filter(([name]) => props.value[name] !== null && props.value[name] !== undefined && props.value[name] !== "");
  const hidden = rest.filter((one) => !filled.includes(one));
  const draw = ([name, schema]: [string, Schema]) => <One key={name} name={name} schema={schema} root={props.schema} required={required.has(name)} value={props.value[name]} wrong={props.wrong?.[name] ?? ""} onChange={(value) => props.onChange(name, value)} />;
  return (
    <div class="stack">
      <div class="fields">{[...simple, ...filled].map(draw)}</div>
      {hidden.length > 0 && <details><summary>Further settings ({hidden.length})</summary><div class="fields">{hidden.map(draw)}</div></details>}
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
  return Boolean(found.enum || found.const !== undefined) || ["number", "integer", "string", "boolean"].includes(found.type ?? "");
}

function One(props: { name: string; schema: Schema; root: Schema; required: boolean; value: Json | undefined; wrong: string; onChange: (value: Json) => void }) {
  const { schema, nullable } = resolve(props.schema, props.root);
  const { label, unit } = labelOf(props.name);
  const title = isShared(props.name, props.root) ? `${label}, ${KINDS[unit] ?? (unit || "what")}` : label;
  const value = props.value === undefined ? (schema.default ?? null) : props.value;
  const hint = [schema.description ?? "", bounds(schema)].filter(Boolean).join(" ");
  if (schema.enum) {
    const options = schema.enum.filter((one) => one !== null).map((one) => ({ value: String(one), label: capital(plain(String(one))) }));
    const empty = nullable || !props.required ? { empty: "not set" } : {};
    return <SelectField label={title} value={value === null ? "" : String(value)} options={options} wrong={props.wrong} hint={schema.description ?? ""} onChange={(text) => props.onChange(text === "" ? null : (schema.enum?.find((one) => String(one) === text) ?? text))} {...empty} />;
  }
  if (schema.type === "boolean") return <div class="field"><span class="label">{title}</span><CheckField label="Yes" value={value === true} onChange={props.onChange} /></div>;
  if (schema.type === "number" || schema.type === "integer") {
    return <NumberField label={title} unit={unit} value={typeof value === "number" ? value : null} wrong={props.wrong} hint={hint} step={schema.type === "integer" ? 1 : "any"} {...limits(schema)} onChange={props.onChange} />;
  }
  return <TextField label={title} value={typeof value === "string" ? value : ""} wrong={props.wrong} hint={schema.description ?? ""} onChange={(text) => props.onChange(text === "" && nullable ? null : text)} />;
}

function limits(schema: Schema): { min?: number; max?: number } {
  const min = schema.minimum ?? schema.exclusiveMinimum;
  const max = schema.maximum ?? schema.exclusiveMaximum;
  return { ...(min === undefined ? {} : { min }), ...(max === undefined ? {} : { max }) };
}

function bounds(schema: Schema): string {
  const low = schema.minimum !== undefined ? `from ${schema.minimum}` : schema.exclusiveMinimum !== undefined ? `above ${schema.exclusiveMinimum}` : "";
  const high = schema.maximum !== undefined ? `to ${schema.maximum}` : schema.exclusiveMaximum !== undefined ? `below ${schema.exclusiveMaximum}` : "";
  return [low, high].filter(Boolean).join(" ");
}
