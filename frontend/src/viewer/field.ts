// Fields on a graded grid in a local frame: sampling, and contours in a cut.
import { bytes, casePath, get, maybe } from "../model/api.ts";
import type { Point } from "../model/types.ts";
import { apply, fromFrame, inverse, multiply, type Matrix } from "./geometry.ts";
import type { Cut } from "./volume.ts";

export interface FieldLevel {
  label: string;
  value: number;
}

/** A field (x slowest, z fastest) with its grid; `levels` are drawn as isolines, `lesionLevel` as the lesion.
 *
 * Tissue is lesioned at or above `lesionLevel`: a field in which less is worse (cold) is kept turned round,
 * values and levels, so that this holds for every one.
 */
export interface Field {
  axes: [Float64Array, Float64Array, Float64Array];
  values: Float32Array;
  unit: string;
  description: string;
  levels: FieldLevel[];
  lesionLevel: number;
  lesionLabel: string;
}

type Direction = "above" | "below";

/** Turned round where less is worse, in place: then "at or above" means lesioned. */
export function facing(field: Field, direction: Direction | undefined): Field {
  if (direction !== "below") return field;
  for (let p = 0; p < field.values.length; p++) field.values[p] = -field.values[p]!;
  return { ...field, levels: field.levels.map((one) => ({ ...one, value: -one.value })), lesionLevel: -field.lesionLevel };
}

interface PreviewData {
  state?: string;
  note?: string;
  tissue?: string;
  lesion: { axes_mm: number[][]; field: string; unit: string; lesion_level: number; direction?: Direction; levels: { label: string; value: number; unit: string }[] };
}

function axesOf(lists: number[][]): Field["axes"] {
  return lists.map((one) => Float64Array.from(one)) as Field["axes"];
}

const ASK_AGAIN_MS = 1500;

/** The preview; while the server computes it, asked for again until it is there. */
export async function readPreview(caseId: string, stop: () => boolean): Promise<Field | null> {
  for (;;) {
    const found = await get<PreviewData>(casePath(caseId, "preview"));
    if (!found.lesion) {
      await new Promise((resolve) => window.setTimeout(resolve, ASK_AGAIN_MS));
      if (stop()) return null;
      continue;
    }
    const { lesion } = found;
    const raw = Uint8Array.from(atob(lesion.field), (letter) => letter.charCodeAt(0));
    const first = lesion.levels.find((one) => one.value === lesion.lesion_level);
    return facing({
      axes: axesOf(lesion.axes_mm),
      values: new Float32Array(raw.buffer),
      unit: lesion.unit,
      description: found.note ?? "",
      levels: lesion.levels.map((one) => ({ label: one.unit === "°C" ? `${one.value}°` : one.label, value: one.value })),
      lesionLevel: lesion.lesion_level,
      lesionLabel: first?.label ?? "",
    }, lesion.direction);
  }
}

export interface FieldsHead {
  axes_mm: number[][];
  frame: { rotation: number[][]; translation_mm: number[] };
  fields: { name: string; unit: string; description: string; shape: number[] }[];
  criteria: { id: string; label: string; field: string; threshold: number; unit: string; direction?: Direction }[];
}

export interface PlanFields {
  head: FieldsHead;
  toLps: Matrix;
}

export async function readFieldsHead(caseId: string, plan: number): Promise<PlanFields | null> {
  const head = await maybe<FieldsHead>(casePath(caseId, `plans/${plan}/fields`));
  return head && { head, toLps: fromFrame(head.frame.rotation, head.frame.translation_mm) };
}

/** The field of one lesion criterion of a plan, with its isolines. */
export async function readPlanField(caseId: string, plan: number, head: FieldsHead, criterion: FieldsHead["criteria"][number]): Promise<Field> {
  const raw = await bytes(casePath(caseId, `plans/${plan}/fields/${encodeURIComponent(criterion.field)}`));
  const about = head.fields.find((one) => one.name === criterion.field);
  return facing({
    axes: axesOf(head.axes_mm),
    values: new Float32Array(raw),
    unit: criterion.unit,
    description: about?.description ?? criterion.label,
    levels: isolines(criterion, head),
    lesionLevel: criterion.threshold,
    lesionLabel: criterion.label,
  }, criterion.direction);
}

/** Isolines of a field: the thresholds of every criterion on it, and where it is a temperature the usual ones. */
function isolines(criterion: FieldsHead["criteria"][number], head: FieldsHead): FieldLevel[] {
  const own = head.criteria.filter((one) => one.field === criterion.field).map((one) => one.threshold);
  const usual = criterion.unit === "°C" ? (criterion.threshold > 30 ? [45, 50, 60, 80] : [-40, -20, 0]) : [];
  return [...new Set([...own, ...usual])].sort((a, b) => a - b).map((value) => ({ value, label: `${value}${criterion.unit === "°C" ? "°" : ` ${criterion.unit}`}` }));
}

/** The lesion over time, from the time at which each cell was reached: never is a very large number. */
export interface Arrival {
  field: Field;
  last: number;
  unit: string;
  toLps: Matrix;
}

/** What stands for "never" in the two units that such fields have. */
const NEVER: Record<string, number> = { min: 1e4, s: 1e6 };
const ARRIVALS = /^(arrival_min|lesion_time_s|arrival_.*)$/;

/** Turned round (minus the time), so that "reached by now" is "at or above" as for every other lesion. */
export async function readArrival(caseId: string, plan: number, fields: PlanFields): Promise<Arrival | null> {
  const about = fields.head.fields.find((one) => ARRIVALS.test(one.name));
  if (!about) return null;
  const raw = new Float32Array(await bytes(casePath(caseId, `plans/${plan}/fields/${encodeURIComponent(about.name)}`)));
  const never = NEVER[about.unit] ?? 1e6;
  let last = 0;
  for (const value of raw) if (value < never) last = Math.max(last, value);
  for (let p = 0; p < raw.length; p++) raw[p] = raw[p]! < never ? -raw[p]! : -(1.25 * last + 1);
  const field: Field = { axes: axesOf(fields.head.axes_mm), values: raw, unit: about.unit, description: about.description, levels: [], lesionLevel: -last, lesionLabel: about.description };
  return { field, last, unit: about.unit, toLps: fields.toLps };
}

/** For one axis: in equal bins, the last grid line at or before the bin's start. */
interface Lookup {
  low: number;
  high: number;
  perBin: number;
  start: Int32Array;
  axis: Float64Array;
}

const BINS = 512;
const lookups = new WeakMap<Float64Array, Lookup>();

function lookup(axis: Float64Array): Lookup {
  const known = lookups.get(axis);
  if (known) return known;
  const [low, high] = [axis[0]!, axis[axis.length - 1]!];
  const perBin = (high - low) / BINS || 1;
  const start = new Int32Array(BINS + 1);
  for (let bin = 0, line = 0; bin <= BINS; bin++) {
    while (line < axis.length - 2 && axis[line + 1]! <= low + bin * perBin) line++;
    start[bin] = line;
  }
  const made = { low, high, perBin, start, axis };
  lookups.set(axis, made);
  return made;
}

/** The grid line at or before a value inside the axis; the last cell's for the axis's end. */
function lineOf(one: Lookup, value: number): number {
  let line = one.start[((value - one.low) / one.perBin) | 0]!;
  while (line < one.axis.length - 2 && one.axis[line + 1]! <= value) line++;
  return line;
}

/** Linear between cells; NaN outside the grid. */
export function sample(field: Field, x: number, y: number, z: number): number {
  const [lx, ly, lz] = [lookup(field.axes[0]), lookup(field.axes[1]), lookup(field.axes[2])];
  return at(field.values, lx, ly, lz, x, y, z);
}

function at(f: Float32Array, lx: Lookup, ly: Lookup, lz: Lookup, x: number, y: number, z: number): number {
  if (!(x >= lx.low && y >= ly.low && z >= lz.low && x <= lx.high && y <= ly.high && z <= lz.high)) return NaN;
  const i = lineOf(lx, x);
  const j = lineOf(ly, y);
  const k = lineOf(lz, z);
  const u = (x - lx.axis[i]!) / (lx.axis[i + 1]! - lx.axis[i]!);
  const v = (y - ly.axis[j]!) / (ly.axis[j + 1]! - ly.axis[j]!);
  const w = (z - lz.axis[k]!) / (lz.axis[k + 1]! - lz.axis[k]!);
  const nz = lz.axis.length;
  const o = (i * ly.axis.length + j) * nz + k;
  const p = o + ly.axis.length * nz;
  const a = f[o]! + w * (f[o + 1]! - f[o]!);
  const b = f[o + nz]! + w * (f[o + nz + 1]! - f[o + nz]!);
  const c = f[p]! + w * (f[p + 1]! - f[p]!);
  const d = f[p + nz]! + w * (f[p + nz + 1]! - f[p + nz]!);
  const near = a + v * (b - a);
  return near + u * (c + v * (d - c) - near);
}

const reaches = new WeakMap<Float32Array, Map<number, number>>();

/** How far from the frame's origin anything at or above a level lies, mm; with a grid line to spare. */
export function reachOf(field: Field, level: number): number {
  const known = reaches.get(field.values) ?? new Map<number, number>();
  reaches.set(field.values, known);
  const found = known.get(level);
  if (found !== undefined) return found;
  const [ax, ay, az] = field.axes;
  const [nx, ny, nz] = [ax.length, ay.length, az.length];
  let most = 0;
  const next = (axis: Float64Array, n: number): number => Math.max(Math.abs(axis[Math.max(0, n - 1)]!), Math.abs(axis[Math.min(axis.length - 1, n + 1)]!));
  for (let i = 0, p = 0; i < nx; i++) for (let j = 0; j < ny; j++) for (let k = 0; k < nz; k++, p++) {
    if (field.values[p]! >= level) most = Math.max(most, next(ax, i) ** 2 + next(ay, j) ** 2 + next(az, k) ** 2);
  }
  known.set(level, Math.sqrt(most));
  return Math.sqrt(most);
}

/** A field sampled on a cut: rows of values, and where they lie in pixels of the cut. */
export interface Raster {
  values: Float32Array;
  columns: number;
  rows: number;
  /** Offset and step in millimetres along the cut's right and down, from its centre. */
  origin: [number, number];
  step: number;
}

/** Samples round where the frame's origin falls, `reach` millimetres each way. */
export function rasterise(field: Field, toLps: Matrix, cut: Cut, reach: number, step: number): Raster {
  const toLocal = inverse(toLps);
  const base = apply(multiply(toLocal, [...cut.right.flatMap((_, r) => [cut.right[r]!, cut.down[r]!, 0, cut.centre[r]!]), 0, 0, 0, 1]), [0, 0, 0]);
  const tip: Point = [toLps[3]!, toLps[7]!, toLps[11]!];
  const offset = tip.map((value, axis) => value - cut.centre[axis]!) as Point;
  const alongRight = offset[0] * cut.right[0] + offset[1] * cut.right[1] + offset[2] * cut.right[2];
  const alongDown = offset[0] * cut.down[0] + offset[1] * cut.down[1] + offset[2] * cut.down[2];
  const half = Math.ceil(reach / step);
  const size = 2 * half + 1;
  const origin: [number, number] = [alongRight - half * step, alongDown - half * step];
  const turn = (d: Point): Point => [0, 4, 8].map((r) => toLocal[r]! * d[0] + toLocal[r + 1]! * d[1] + toLocal[r + 2]! * d[2]) as Point;
  const right = turn(cut.right);
  const down = turn(cut.down);
  const values = new Float32Array(size * size);
  const [lx, ly, lz] = [lookup(field.axes[0]), lookup(field.axes[1]), lookup(field.axes[2])];
  for (let row = 0, p = 0; row < size; row++) {
    const v = origin[1] + row * step;
    for (let column = 0; column < size; column++, p++) {
      const u = origin[0] + column * step;
      values[p] = at(field.values, lx, ly, lz, base[0] + u * right[0] + v * down[0], base[1] + u * right[1] + v * down[1], base[2] + u * right[2] + v * down[2]);
    }
  }
  return { values, columns: size, rows: size, origin, step };
}

/** Line pieces of a level by marching squares, as x1 y1 x2 y2 in millimetres along right and down. */
export function contour(raster: Raster, level: number): Float32Array {
  const { values, columns, rows, origin, step } = raster;
  const found: number[] = [];
  const at = (a: number, b: number): number => (level - a) / (b - a);
  for (let row = 0; row < rows - 1; row++) {
    for (let column = 0; column < columns - 1; column++) {
      const p = row * columns + column;
      const a = values[p]!;
      const b = values[p + 1]!;
      const c = values[p + columns + 1]!;
      const d = values[p + columns]!;
      if (!(a === a && b === b && c === c && d === d)) continue;
      const kind = (a >= level ? 1 : 0) | (b >= level ? 2 : 0) | (c >= level ? 4 : 0) | (d >= level ? 8 : 0);
      if (kind === 0 || kind === 15) continue;
      const x = origin[0] + column * step;
      const y = origin[1] + row * step;
      const top = () => [x + at(a, b) * step, y];
      const right = () => [x + step, y + at(b, c) * step];
      const bottom = () => [x + at(d, c) * step, y + step];
      const left = () => [x, y + at(a, d) * step];
      const line = (one: number[], two: number[]) => found.push(one[0]!, one[1]!, two[0]!, two[1]!);
      if (kind === 1 || kind === 14) line(left(), top());
      else if (kind === 2 || kind === 13) line(top(), right());
      else if (kind === 4 || kind === 11) line(right(), bottom());
      else if (kind === 8 || kind === 7) line(bottom(), left());
      else if (kind === 3 || kind === 12) line(left(), right());
      else if (kind === 6 || kind === 9) line(top(), bottom());
      else if (kind === 5) { line(left(), top()); line(right(), bottom()); }
      else { line(top(), right()); line(bottom(), left()); }
    }
  }
  return Float32Array.from(found);
}
