// The image as voxels with its place, and cuts through it.
import { bytes, casePath, maybe } from "../model/api.ts";
import type { Point } from "../model/types.ts";
import { apply, flat, inverse, length, type Matrix } from "./geometry.ts";

export interface ImageHead {
  shape: [number, number, number];
  affine: number[][];
  dtype: string;
  window: [number, number];
  slope?: number;
  intercept?: number;
  modality?: string;
  label_maps?: { name: string; labels: { value: number; name: string }[] }[];
}

export interface Labels {
  name: string;
  names: Map<number, string>;
  voxels: Uint8Array | Uint16Array;
}

/** A plane of a picture: its middle, where its right and its down point, and how many millimetres a pixel is. */
export interface Cut {
  centre: Point;
  right: Point;
  down: Point;
  step: number;
  columns: number;
  rows: number;
}

export class Volume {
  readonly toVoxel: Matrix;
  readonly toLps: Matrix;
  readonly spacing: Point;
  labels: Labels[] = [];

  constructor(readonly head: ImageHead, readonly voxels: Int16Array) {
    this.toLps = flat(head.affine);
    this.toVoxel = inverse(this.toLps);
    const column = (c: number): Point => [this.toLps[c]!, this.toLps[4 + c]!, this.toLps[8 + c]!];
    this.spacing = [length(column(0)), length(column(1)), length(column(2))];
  }

  static async read(caseId: string): Promise<Volume | null> {
    const head = await maybe<ImageHead>(casePath(caseId, "image"));
    if (!head) return null;
    const raw = await bytes(casePath(caseId, "image/voxels"));
    const [nx, ny, nz] = head.shape;
    if (raw.byteLength !== 2 * nx * ny * nz) throw new Error(`the image holds ${raw.byteLength} bytes, not 2 x ${nx} x ${ny} x ${nz}`);
    return new Volume(head, new Int16Array(raw));
  }

  async readLabels(caseId: string): Promise<void> {
    const maps = this.head.label_maps ?? [];
    const count = this.voxels.length;
    this.labels = await Promise.all(maps.map(async (map, k) => {
      const raw = await bytes(casePath(caseId, `labels/${k}/voxels`));
      const voxels = raw.byteLength === count ? new Uint8Array(raw) : new Uint16Array(raw);
      return { name: map.name, names: new Map(map.labels.map((one) => [one.value, one.name])), voxels };
    }));
  }

  get centre(): Point {
    const [nx, ny, nz] = this.head.shape;
    return apply(this.toLps, [(nx - 1) / 2, (ny - 1) / 2, (nz - 1) / 2]);
  }

  /** Corners of the box in LPS: lowest and highest of each coordinate. */
  get bounds(): { low: Point; high: Point } {
    const [nx, ny, nz] = this.head.shape;
    const low: Point = [Infinity, Infinity, Infinity];
    const high: Point = [-Infinity, -Infinity, -Infinity];
    for (const i of [-0.5, nx - 0.5]) for (const j of [-0.5, ny - 0.5]) for (const k of [-0.5, nz - 0.5]) {
      apply(this.toLps, [i, j, k]).forEach((value, axis) => {
        low[axis] = Math.min(low[axis]!, value);
        high[axis] = Math.max(high[axis]!, value);
      });
    }
    return { low, high };
  }

  labelAt(map: Labels, point: Point): string {
    const [nx, ny, nz] = this.head.shape;
    const [i, j, k] = apply(this.toVoxel, point).map(Math.round) as Point;
    if (i < 0 || j < 0 || k < 0 || i >= nx || j >= ny || k >= nz) return "";
    const value = map.voxels[i + nx * (j + ny * k)] ?? 0;
    return value ? (map.names.get(value) ?? `label ${value}`) : "";
  }

  valueAt(point: Point): number | null {
    const [nx, ny, nz] = this.head.shape;
    const [i, j, k] = apply(this.toVoxel, point).map(Math.round) as Point;
    if (i < 0 || j < 0 || k < 0 || i >= nx || j >= ny || k >= nz) return null;
    const stored = this.voxels[i + nx * (j + ny * k)];
    return stored === undefined ? null : stored * (this.head.slope ?? 1) + (this.head.intercept ?? 0);
  }
}

/** Voxel index of a cut's first pixel, and its change along a row and down a column. */
function walk(volume: Volume, cut: Cut): { start: Point; along: Point; downwards: Point } {
  const at = (column: number, row: number): Point =>
    apply(volume.toVoxel, [0, 1, 2].map((axis) =>
      cut.centre[axis]! + (column - (cut.columns - 1) / 2) * cut.step * cut.right[axis]! + (row - (cut.rows - 1) / 2) * cut.step * cut.down[axis]!) as Point);
  const start = at(0, 0);
  const along = at(1, 0).map((value, axis) => value - start[axis]!) as Point;
  const downwards = at(0, 1).map((value, axis) => value - start[axis]!) as Point;
  return { start, along, downwards };
}

/** Grey values of a cut through the image, linear between voxels, as RGBA; outside the image it is black. */
export function paintCut(volume: Volume, cut: Cut, window: [number, number], target: Uint8ClampedArray): void {
  const [nx, ny, nz] = volume.head.shape;
  const { voxels } = volume;
  const { start, along, downwards } = walk(volume, cut);
  const slope = volume.head.slope ?? 1;
  const centre = (window[0] - (volume.head.intercept ?? 0)) / slope;
  const width = window[1] / slope;
  const low = centre - width / 2;
  const gain = 255 / Math.max(1, width);
  const slab = nx * ny;
  const pixels = new Uint32Array(target.buffer, target.byteOffset, cut.columns * cut.rows);
  const [across, downAxis] = [onlyAxis(along), onlyAxis(downwards)];
  if (across >= 0 && downAxis >= 0 && across !== downAxis) {
    paintAligned(volume, cut, { start, along: along[across]!, downwards: downwards[downAxis]!, axes: [across, downAxis, 3 - across - downAxis] }, low, gain, pixels);
    return;
  }
  const black = BLACK;
  let pixel = 0;
  for (let row = 0; row < cut.rows; row++) {
    let x = start[0] + row * downwards[0];
    let y = start[1] + row * downwards[1];
    let z = start[2] + row * downwards[2];
    for (let column = 0; column < cut.columns; column++, pixel++, x += along[0], y += along[1], z += along[2]) {
      if (x < -0.5 || y < -0.5 || z < -0.5 || x > nx - 0.5 || y > ny - 0.5 || z > nz - 0.5) { pixels[pixel] = black; continue; }
      const cx = x < 0 ? 0 : x > nx - 1 ? nx - 1 : x;
      const cy = y < 0 ? 0 : y > ny - 1 ? ny - 1 : y;
      const cz = z < 0 ? 0 : z > nz - 1 ? nz - 1 : z;
      const i = cx | 0;
      const j = cy | 0;
      const k = cz | 0;
      const fx = cx - i;
      const fy = cy - j;
      const fz = cz - k;
      const o = i + nx * j + slab * k;
      const dx = i < nx - 1 ? 1 : 0;
      const dy = j < ny - 1 ? nx : 0;
      const bottom = plane(voxels, o, dx, dy, fx, fy);
      const value = fz < 1e-6 ? bottom : bottom + fz * (plane(voxels, o + (k < nz - 1 ? slab : 0), dx, dy, fx, fy) - bottom);
      const level = (value - low) * gain;
      const grey = level <= 0 ? 0 : level >= 255 ? 255 : level | 0;
      pixels[pixel] = black | (grey << 16) | (grey << 8) | grey;
    }
  }
}

const BLACK = 0xff000000;
const STRAIGHT = 1e-9;

/** The one axis of the image along which a step goes; -1 where it goes along more than one. */
function onlyAxis(step: Point): number {
  const moving = [0, 1, 2].filter((axis) => Math.abs(step[axis]!) > STRAIGHT);
  return moving.length === 1 ? moving[0]! : -1;
}

interface Aligned {
  start: Point;
  along: number;
  downwards: number;
  /** Axes of the image across, down and through the picture. */
  axes: [number, number, number];
}

/** Where a pixel falls on an axis of `n` voxels: the voxel before and the share of the next; -1 outside. */
function places(first: number, step: number, count: number, n: number): { index: Int32Array; share: Float32Array } {
  const index = new Int32Array(count);
  const share = new Float32Array(count);
  for (let p = 0; p < count; p++) {
    const value = first + p * step;
    if (value < -0.5 || value > n - 0.5) { index[p] = -1; continue; }
    const inside = value < 0 ? 0 : value > n - 1 ? n - 1 : value;
    index[p] = inside | 0;
    share[p] = inside - index[p]!;
  }
  return { index, share };
}

/** A cut along the axes of the image, as most are: one line of voxels a row, then two reads a pixel. */
function paintAligned(volume: Volume, cut: Cut, walked: Aligned, low: number, gain: number, pixels: Uint32Array): void {
  const { voxels } = volume;
  const size = volume.head.shape;
  const strides = [1, size[0], size[0] * size[1]];
  const [a, b, c] = walked.axes;
  const columns = places(walked.start[a]!, walked.along, cut.columns, size[a]!);
  const rows = places(walked.start[b]!, walked.downwards, cut.rows, size[b]!);
  const depth = places(walked.start[c]!, 0, 1, size[c]!);
  pixels.fill(BLACK);
  if (depth.index[0]! < 0) return;
  const [n, stride] = [size[a]!, strides[a]!];
  const line = new Float32Array(n + 1);
  const fz = depth.share[0]!;
  const behind = fz > 0 ? strides[c]! : 0;
  let made = -1;
  for (let row = 0; row < cut.rows; row++) {
    const j = rows.index[row]!;
    if (j < 0) continue;
    const fy = rows.share[row]!;
    if (made !== j + fy) {
      const below = fy > 0 ? strides[b]! : 0;
      const [w00, w10, w01, w11] = [(1 - fy) * (1 - fz), fy * (1 - fz), (1 - fy) * fz, fy * fz];
      let p = j * strides[b]! + depth.index[0]! * strides[c]!;
      for (let i = 0; i < n; i++, p += stride) {
        const value = w00 * voxels[p]! + w10 * voxels[p + below]! + w01 * voxels[p + behind]! + w11 * voxels[p + below + behind]!;
        line[i] = (value - low) * gain;
      }
      line[n] = line[n - 1]!;
      made = j + fy;
    }
    for (let column = 0, pixel = row * cut.columns; column < cut.columns; column++, pixel++) {
      const i = columns.index[column]!;
      if (i < 0) continue;
      const level = line[i]! + columns.share[column]! * (line[i + 1]! - line[i]!);
      const grey = level <= 0 ? 0 : level >= 255 ? 255 : level | 0;
      pixels[pixel] = BLACK | (grey << 16) | (grey << 8) | grey;
    }
  }
}

function plane(voxels: Int16Array, o: number, dx: number, dy: number, fx: number, fy: number): number {
  const a = voxels[o]!;
  const b = voxels[o + dx]!;
  const c = voxels[o + dy]!;
  const d = voxels[o + dx + dy]!;
  const top = a + fx * (b - a);
  return top + fy * (c + fx * (d - c) - top);
}

/** Edges of labels in a cut, painted over grey: a pixel whose neighbour has another label. */
export function paintLabelEdges(volume: Volume, map: Labels, cut: Cut, target: Uint8ClampedArray): void {
  const [nx, ny, nz] = volume.head.shape;
  const { start, along, downwards } = walk(volume, cut);
  const found = new Uint16Array(cut.columns * cut.rows);
  let pixel = 0;
  for (let row = 0; row < cut.rows; row++) {
    for (let column = 0; column < cut.columns; column++, pixel++) {
      const i = Math.round(start[0] + row * downwards[0] + column * along[0]);
      const j = Math.round(start[1] + row * downwards[1] + column * along[1]);
      const k = Math.round(start[2] + row * downwards[2] + column * along[2]);
      if (i >= 0 && j >= 0 && k >= 0 && i < nx && j < ny && k < nz) found[pixel] = map.voxels[i + nx * (j + ny * k)]!;
    }
  }
  const pixels = new Uint32Array(target.buffer, target.byteOffset, found.length);
  for (let p = cut.columns; p < found.length - 1; p++) {
    const own = found[p]!;
    if (own !== found[p - 1] || own !== found[p - cut.columns]) pixels[p] = 0xffb8c4ce; // grey-blue, no meaning elsewhere
  }
}
