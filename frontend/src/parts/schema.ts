// JSON Schema as the forms read it: references followed, rules of other fields laid on, limits in words.
import type { Json, Schema } from "../model/types.ts";

/** The schema without references and without "or null"; `nullable` says whether it may be empty. */
export function resolve(schema: Schema, root: Schema): { schema: Schema; nullable: boolean } {
  let found = schema;
  let nullable = false;
  for (let depth = 0; depth < 8; depth++) {
    if (found.$ref) {
      const name = found.$ref.split("/").at(-1) ?? "";
      const { $ref: _, ...rest } = found;
      found = { ...(root.$defs?.[name] ?? {}), ...rest };
    } else if (found.anyOf) {
      const { anyOf, ...rest } = found;
      const real = anyOf.filter((one) => one.type !== "null");
      nullable ||= real.length < anyOf.length;
      found = { ...(real[0] ?? {}), ...rest };
    } else if (found.allOf?.length === 1) found = { ...found, ...found.allOf[0], allOf: [] };
    else break;
  }
  return { schema: found, nullable };
}

/** Whether the `if` of a rule holds; a field left out counts as its default, unless the rule asks for it. */
function holds(rule: Schema, root: Schema, value: Record<string, Json>): boolean {
  const given = (name: string) => value[name] ?? null;
  if (rule.required?.some((name) => given(name) === null)) return false;
  return Object.entries(rule.properties ?? {}).every(([name, one]) => (given(name) ?? root.properties?.[name]?.default ?? null) === one.const);
}

/** The schema as it stands for these values: rules that hold narrow their fields and ask for more. */
export function effective(root: Schema, value: Record<string, Json>): Schema {
  const rules = (root.allOf ?? []).filter((rule) => rule.if && holds(rule.if, root, value)).map((rule) => rule.then ?? {});
  if (!rules.length) return root;
  const properties = { ...root.properties };
  for (const rule of rules) for (const [name, more] of Object.entries(rule.properties ?? {})) properties[name] = { ...properties[name], ...more };
  return { ...root, properties, required: [...new Set([...(root.required ?? []), ...rules.flatMap((rule) => rule.required ?? [])])] };
}

/** Values with a title each, where the schema names them. */
export function named(schema: Schema): { value: string; label: string }[] | null {
  const found = schema.oneOf?.filter((one) => one.const !== undefined) ?? [];
  return found.length ? found.map((one) => ({ value: String(one.const), label: one.title ?? String(one.const) })) : null;
}

export function bounds(schema: Schema): string {
  const low = schema.minimum !== undefined ? `from ${schema.minimum}` : schema.exclusiveMinimum !== undefined ? `above ${schema.exclusiveMinimum}` : "";
  const high = schema.maximum !== undefined ? `to ${schema.maximum}` : schema.exclusiveMaximum !== undefined ? `below ${schema.exclusiveMaximum}` : "";
  return [low, high].filter(Boolean).join(" ");
}

/** What is wrong with a number, in the words of its limits; empty where nothing is. */
export function outside(schema: Schema, value: Json | undefined): string {
  if (typeof value !== "number") return "";
  const low = (schema.minimum !== undefined && value < schema.minimum) || (schema.exclusiveMinimum !== undefined && value <= schema.exclusiveMinimum);
  const high = (schema.maximum !== undefined && value > schema.maximum) || (schema.exclusiveMaximum !== undefined && value >= schema.exclusiveMaximum);
  return low || high ? `${value} is not allowed: ${bounds(schema)}.` : "";
}

/** A number with its unit and where it comes from, as the program keeps every constant. */
export function isQuantity(schema: Schema): boolean {
  return schema.type === "object" && Boolean(schema.properties?.["basis"] && schema.properties["unit"] && schema.properties["source"]);
}
