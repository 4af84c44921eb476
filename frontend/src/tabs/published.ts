// A published figure in words.
import { plain } from "../model/words.ts";

export interface Published {
  row: string;
  value: number | null;
  low: number | null;
  high: number | null;
  n: number | null;
  definition: string;
  source: string;
}

/** The definition ends in "[unit; treatment; target]": the unit goes to the figure, the rest after it. */
export function publishedWords(one: Published): string {
  const found = /^(.*?)\s*\[([^\]]*)\]$/.exec(one.definition);
  const [unit = "", ...about] = found ? found[2]!.split(";").map((part) => plain(part.trim())) : [];
  const range = one.low !== null && one.high !== null ? `${one.low} to ${one.high}` : "";
  const number = one.value !== null ? `${one.value}${unit && ` ${unit}`}${range && ` (${range})`}` : range ? `${range}${unit && ` ${unit}`}` : "no number printed";
  const told = [...about, one.n ? `${one.n} people` : ""].filter(Boolean).join(", ");
  return `${found ? found[1] : one.definition}: ${number}${told && ` (${told})`}`;
}
