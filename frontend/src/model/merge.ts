// Three versions of a case laid together field by field: what both began from, mine and theirs.
import type { Case } from "./types.ts";

export interface Merge {
  merged: Case;
  /** Changed by me only. */
  mine: string[];
  /** Changed by them only. */
  theirs: string[];
  /** Changed by both, and differently: somebody must choose. */
  both: string[];
}

const EMPTY = new Set(["null", "[]", '""', "{}", "undefined"]);

/** Canonical text: keys in order, and absent, null and empty fields alike. */
function text(value: unknown): string {
  const found = JSON.stringify(value, (_, part: unknown) =>
    part && typeof part === "object" && !Array.isArray(part)
      ? Object.fromEntries(Object.entries(part).filter(([, inner]) => inner !== null && inner !== undefined).sort(([a], [b]) => (a < b ? -1 : 1)))
      : part,
  );
  return found === undefined || EMPTY.has(found) ? "" : found;
}

export function same(a: unknown, b: unknown): boolean {
  return text(a) === text(b);
}

function keysOf(...cases: Case[]): string[] {
  return [...new Set(cases.flatMap((one) => Object.keys(one)))].sort();
}

/** Fields of the case that differ. An empty list and `null` differ where unknown is not "none". */
export function changedKeys(a: Case, b: Case): string[] {
  return keysOf(a, b).filter((key) => !same(a[key], b[key]) || unknownDiffers(a[key], b[key]));
}

function unknownDiffers(a: unknown, b: unknown): boolean {
  const none = (value: unknown) => Array.isArray(value) && value.length === 0;
  return (none(a) && (b === null)) || (none(b) && (a === null));
}

export function merge(base: Case, mine: Case, theirs: Case): Merge {
  const merged = structuredClone(theirs) as Case;
  const found: Merge = { merged, mine: [], theirs: [], both: [] };
  const byMe = new Set(changedKeys(base, mine));
  const byThem = new Set(changedKeys(base, theirs));
  for (const key of keysOf(base, mine, theirs)) {
    if (byMe.has(key) && !byThem.has(key)) {
      found.mine.push(key);
      merged[key] = structuredClone(mine[key]);
    } else if (byThem.has(key) && !byMe.has(key)) found.theirs.push(key);
    else if (byMe.has(key) && byThem.has(key) && !same(mine[key], theirs[key])) found.both.push(key);
  }
  return found;
}
