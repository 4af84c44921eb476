// Points and frames in the patient's own frame: LPS, millimetres.
import type { Point } from "../model/types.ts";

export type Matrix = number[]; // 4x4, row by row

export const add = (a: Point, b: Point): Point => [a[0] + b[0], a[1] + b[1], a[2] + b[2]];
export const sub = (a: Point, b: Point): Point => [a[0] - b[0], a[1] - b[1], a[2] - b[2]];
export const scale = (a: Point, k: number): Point => [a[0] * k, a[1] * k, a[2] * k];
export const dot = (a: Point, b: Point): number => a[0] * b[0] + a[1] * b[1] + a[2] * b[2];
export const length = (a: Point): number => Math.hypot(a[0], a[1], a[2]);
export const cross = (a: Point, b: Point): Point => [a[1] * b[2] - a[2] * b[1], a[2] * b[0] - a[0] * b[2], a[0] * b[1] - a[1] * b[0]];
export const unit = (a: Point): Point => scale(a, 1 / (length(a) || 1));
export const rounded = (a: Point): Point => a.map((value) => Math.round(value * 100) / 100) as Point;

export function apply(m: Matrix, p: Point): Point {
  return [0, 4, 8].map((r) => m[r]! * p[0] + m[r + 1]! * p[1] + m[r + 2]! * p[2] + m[r + 3]!) as Point;
}

export function multiply(a: Matrix, b: Matrix): Matrix {
  const found: Matrix = [];
  for (let r = 0; r < 4; r++) for (let c = 0; c < 4; c++) {
    let sum = 0;
    for (let k = 0; k < 4; k++) sum += a[4 * r + k]! * b[4 * k + c]!;
    found.push(sum);
  }
  return found;
}

/** Of the linear part: below zero the map mirrors. */
export function determinant(m: Matrix): number {
  return dot([m[0]!, m[4]!, m[8]!], cross([m[1]!, m[5]!, m[9]!], [m[2]!, m[6]!, m[10]!]));
}

/** Inverse of an affine map whose last row is 0 0 0 1. */
export function inverse(m: Matrix): Matrix {
  const columns = [0, 1, 2].map((c) => [m[c]!, m[4 + c]!, m[8 + c]!] as Point);
  const [a, b, c] = columns as [Point, Point, Point];
  const volume = dot(a, cross(b, c));
  if (Math.abs(volume) < 1e-12) throw new Error("a map without an inverse");
  const rows = [cross(b, c), cross(c, a), cross(a, b)].map((row) => scale(row, 1 / volume));
  const t: Point = [m[3]!, m[7]!, m[11]!];
  return [...rows.flatMap((row) => [...row, -dot(row, t)]), 0, 0, 0, 1];
}

export function flat(rows: readonly (readonly number[])[]): Matrix {
  return rows.flatMap((row) => [...row]);
}

/** Local to LPS from a rotation (three rows) and a place. */
export function fromFrame(rotation: readonly (readonly number[])[], place: readonly number[]): Matrix {
  return [...rotation.flatMap((row, k) => [...row, place[k] ?? 0]), 0, 0, 0, 1];
}

/** The needle's frame: origin at the apex, z towards the hub. Which way x points does not matter for a preview. */
export function needleFrame(tip: Point, hub: Point): Matrix {
  const z = unit(sub(hub, tip));
  const helper: Point = Math.abs(z[2]) < 0.9 ? [0, 0, 1] : [1, 0, 0];
  const x = unit(cross(helper, z));
  const y = cross(z, x);
  return [x[0], y[0], z[0], tip[0], x[1], y[1], z[1], tip[1], x[2], y[2], z[2], tip[2], 0, 0, 0, 1];
}
