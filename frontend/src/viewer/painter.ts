// Paints one plane on a 2-D canvas: grey image, label edges, lesion, isolines, nerves, landmarks, needle.
import colours from "palette";
import type { Point } from "../model/types.ts";
import { contour, rasterise, reachOf, type Field, type Raster } from "./field.ts";
import { add, dot, scale, sub, unit, type Matrix } from "./geometry.ts";
import { PLANES, type Needle, type PlaneName, type SceneLandmark, type SceneNerve } from "./scene.ts";
import { paintCut, paintLabelEdges, type Cut, type Volume } from "./volume.ts";

export interface Look {
  centre: Point;
  /** Millimetres across the picture, before zoom. */
  width: number;
  middle: Point;
  window: [number, number];
  labels: number;
  showNerves: boolean;
}

export interface Shown {
  nerves: readonly SceneNerve[];
  landmarks: readonly SceneLandmark[];
  needles: readonly Needle[];
  activeTip: number;
  lesion: { field: Field; toLps: Matrix; preview: boolean } | null;
}

const HALO = "rgba(0, 0, 0, 0.75)";
const SLAB_MM = 3;
export const HANDLE_PX = 9;

/** Pixels of a canvas to millimetres and back for one plane. */
export class Projection {
  readonly plane;
  readonly perPixel: number;

  constructor(name: PlaneName, readonly look: Look, readonly size: number) {
    this.plane = PLANES[name];
    this.perPixel = look.width / size;
  }

  /** Canvas pixels, and how far before (+) or behind (-) the plane. */
  project(point: Point): [number, number, number] {
    const away = sub(point, this.look.middle);
    const depth = dot(sub(point, this.look.centre), this.plane.normal);
    return [this.size / 2 + dot(away, this.plane.right) / this.perPixel, this.size / 2 + dot(away, this.plane.down) / this.perPixel, depth];
  }

  /** The point of the plane under a pixel. */
  point(x: number, y: number): Point {
    const { right, down, normal } = this.plane;
    const inPlane = add(this.look.middle, add(scale(right, (x - this.size / 2) * this.perPixel), scale(down, (y - this.size / 2) * this.perPixel)));
    return add(inPlane, scale(normal, dot(sub(this.look.centre, inPlane), normal)));
  }
}

export class Painter {
  private readonly buffer = document.createElement("canvas");
  private picture: ImageData | null = null;
  private key = "";
  private drawn: { field: Field; key: string; found: Drawn } | null = null;

  /** Paint everything; returns the milliseconds it took. */
  paint(canvas: HTMLCanvasElement, name: PlaneName, volume: Volume | null, look: Look, shown: Shown): number {
    const started = performance.now();
    const context = canvas.getContext("2d");
    if (!context) return 0;
    const size = canvas.width;
    const projection = new Projection(name, look, size);
    context.setTransform(1, 0, 0, 1, 0, 0);
    context.fillStyle = "#000";
    context.fillRect(0, 0, size, size);
    if (volume) this.image(context, name, volume, look, size);
    this.overlays(context, projection, look, shown, size);
    letters(context, projection.plane.letters, size);
    scaleBar(context, projection, size);
    return performance.now() - started;
  }

  private image(context: CanvasRenderingContext2D, name: PlaneName, volume: Volume, look: Look, size: number): void {
    const finest = Math.min(...volume.spacing);
    const count = Math.max(64, Math.min(512, size, Math.round(look.width / finest) * (look.width / finest < 200 ? 2 : 1)));
    const { right, down, normal } = PLANES[name];
    const centre = add(look.middle, scale(normal, dot(sub(look.centre, look.middle), normal)));
    const cut: Cut = { centre, right, down, step: look.width / count, columns: count, rows: count };
    const key = [name, ...centre, cut.step, count, ...look.window, look.labels].join(" ");
    if (key !== this.key || !this.picture) {
      if (this.picture?.width !== count) {
        this.buffer.width = this.buffer.height = count;
        this.picture = new ImageData(count, count);
      }
      paintCut(volume, cut, look.window, this.picture.data);
      const map = volume.labels[look.labels];
      if (map) paintLabelEdges(volume, map, cut, this.picture.data);
      this.buffer.getContext("2d")?.putImageData(this.picture, 0, 0);
      this.key = key;
    }
    context.imageSmoothingEnabled = true;
    context.imageSmoothingQuality = "medium";
    context.drawImage(this.buffer, 0, 0, size, size);
  }

  /** What was drawn last, where neither the lesion nor the plane has moved: a slice change moves one plane of three. */
  private lesion(shown: NonNullable<Shown["lesion"]>, projection: Projection): Drawn {
    const { look, plane, size } = projection;
    const key = [...shown.toLps, ...look.middle, dot(look.centre, plane.normal), look.width, size].join(" ");
    if (this.drawn?.field !== shown.field || this.drawn.key !== key) this.drawn = { field: shown.field, key, found: drawnLesion(shown, projection) };
    return this.drawn.found;
  }

  private overlays(context: CanvasRenderingContext2D, projection: Projection, look: Look, shown: Shown, size: number): void {
    const unitPx = size / 420;
    if (shown.lesion) paintLesion(context, projection, shown.lesion, this.lesion(shown.lesion, projection), unitPx);
    if (look.showNerves) for (const nerve of shown.nerves) drawNerve(context, projection, nerve, unitPx);
    if (look.showNerves) for (const one of shown.landmarks) drawLandmark(context, projection, one, unitPx);
    for (const one of shown.needles) drawNeedle(context, projection, one, shown.activeTip, unitPx);
    crosshair(context, projection, look, size);
  }
}

/** A lesion as drawn on one plane: its cells, and a line for each level, in pixels. */
interface Drawn {
  inside: Path2D;
  edge: Path2D;
  levels: { path: Path2D; label: string; far: [number, number] | null }[];
}

const FARTHEST_MM = 90;
const FINEST_MM = 0.5;
const ACROSS = 60;
const LABELLED = 10;

/** Only as far out as anything drawn lies, in steps that keep the number of samples small. */
function drawnLesion(shown: NonNullable<Shown["lesion"]>, projection: Projection): Drawn {
  const { field, toLps } = shown;
  const { look, plane, size, perPixel } = projection;
  const lowest = Math.min(field.lesionLevel, ...field.levels.map((one) => one.value));
  const reach = Math.min(FARTHEST_MM, reachOf(field, lowest) + FINEST_MM);
  const centre = add(look.middle, scale(plane.normal, dot(sub(look.centre, look.middle), plane.normal)));
  const cut: Cut = { centre, right: plane.right, down: plane.down, step: perPixel, columns: size, rows: size };
  const raster = rasterise(field, toLps, cut, reach, Math.max(FINEST_MM, reach / ACROSS));
  const line = (level: number): { path: Path2D; far: [number, number] | null } => {
    const pieces = contour(raster, level);
    const path = new Path2D();
    let best = 0;
    for (let p = 0; p < pieces.length; p += 4) {
      path.moveTo(size / 2 + pieces[p]! / perPixel, size / 2 + pieces[p + 1]! / perPixel);
      path.lineTo(size / 2 + pieces[p + 2]! / perPixel, size / 2 + pieces[p + 3]! / perPixel);
      if (pieces[p]! + pieces[p + 1]! > pieces[best]! + pieces[best + 1]!) best = p;
    }
    return { path, far: pieces.length < 4 * LABELLED ? null : [size / 2 + pieces[best]! / perPixel, size / 2 + pieces[best + 1]! / perPixel] };
  };
  const others = field.levels.filter((one) => one.value !== field.lesionLevel);
  return { inside: insideOf(raster, field.lesionLevel, size, perPixel), edge: line(field.lesionLevel).path, levels: others.map((one) => ({ ...line(one.value), label: one.label.split(",")[0]! })) };
}

function paintLesion(context: CanvasRenderingContext2D, projection: Projection, shown: NonNullable<Shown["lesion"]>, drawn: Drawn, unitPx: number): void {
  context.save();
  context.lineCap = "round";
  context.fillStyle = colours.lesion;
  context.globalAlpha = 0.25;
  context.fill(drawn.inside, "nonzero");
  context.globalAlpha = 1;
  const high = Math.max(SMALLEST_PX, 10 * unitPx);
  const written: [number, number][] = [];
  for (const one of drawn.levels) {
    stroke(context, one.path, colours.isotherm, 1.1 * unitPx, []);
    const { far } = one;
    if (!far || written.some(([x, y]) => Math.abs(x - far[0]) < 3 * high && Math.abs(y - far[1]) < 1.1 * high)) continue;
    text(context, one.label, ...far, high, colours.isotherm);
    written.push(far);
  }
  stroke(context, drawn.edge, colours.lesion, 2.4 * unitPx, shown.preview ? [5 * unitPx, 4 * unitPx] : []);
  context.restore();
}

/** Everything inside the lesion as one shape, so that no part is shaded twice. */
function insideOf(raster: Raster, level: number, size: number, perPixel: number): Path2D {
  const path = new Path2D();
  const cell = raster.step / perPixel;
  for (let row = 0; row < raster.rows; row++) {
    let from = -1;
    for (let column = 0; column <= raster.columns; column++) {
      const inside = column < raster.columns && raster.values[row * raster.columns + column]! >= level;
      if (inside && from < 0) from = column;
      else if (!inside && from >= 0) {
        path.rect(size / 2 + (raster.origin[0] + (from - 0.5) * raster.step) / perPixel, size / 2 + (raster.origin[1] + (row - 0.5) * raster.step) / perPixel, (column - from) * cell, cell + 0.5);
        from = -1;
      }
    }
  }
  return path;
}

function stroke(context: CanvasRenderingContext2D, path: Path2D, colour: string, width: number, dash: number[]): void {
  context.setLineDash([]);
  context.strokeStyle = HALO;
  context.lineWidth = width + 1.6;
  context.stroke(path);
  context.setLineDash(dash);
  context.strokeStyle = colour;
  context.lineWidth = width;
  context.stroke(path);
  context.setLineDash([]);
}

const SMALLEST_PX = 11;
const NARROW_PX = 330;

function text(context: CanvasRenderingContext2D, words: string, x: number, y: number, size: number, colour: string): void {
  context.font = `600 ${size}px "Segoe UI", Arial, "Liberation Sans", sans-serif`;
  context.lineWidth = 3;
  context.strokeStyle = HALO;
  context.lineJoin = "round";
  const most = context.canvas.width - 6;
  const lines = broken(words, (part) => context.measureText(part).width <= most);
  const wide = Math.max(...lines.map((line) => context.measureText(line).width));
  const left = Math.max(3, Math.min(x, context.canvas.width - wide - 3));
  const top = y - (lines.length - 1) * size * 1.15;
  context.fillStyle = colour;
  lines.forEach((line, k) => {
    context.strokeText(line, left, top + k * size * 1.15);
    context.fillText(line, left, top + k * size * 1.15);
  });
}

/** Words on as many lines as they need, so that none runs out of the picture. */
export function broken(words: string, fits: (part: string) => boolean): string[] {
  const lines: string[] = [];
  for (const word of words.split(" ")) {
    const last = lines.at(-1);
    if (last !== undefined && fits(`${last} ${word}`)) lines[lines.length - 1] = `${last} ${word}`;
    else lines.push(word);
  }
  return lines;
}

function drawNerve(context: CanvasRenderingContext2D, projection: Projection, nerve: SceneNerve, unitPx: number): void {
  const points = nerve.points_mm.map((point) => projection.project(point));
  const radius = (nerve.sd_mm ?? 0) / projection.perPixel;
  const near = SLAB_MM + (nerve.sd_mm ?? 0);
  context.save();
  context.lineCap = "round";
  context.lineJoin = "round";
  let label: [number, number, number] | null = null;
  for (const [width, colour, alpha, dash] of [[2 * radius, colours.nerve, 0.28, []], [4.5 * unitPx, "#000", 0.7, []], [3 * unitPx, colours.nerve, 1, nerve.is_target ? [] : [4 * unitPx, 3 * unitPx]]] as [number, string, number, number[]][]) {
    if (width <= 0) continue;
    context.beginPath();
    let open = false;
    for (const [x, y, depth] of points) {
      if (Math.abs(depth) > near) { open = false; continue; }
      if (open) context.lineTo(x, y); else context.moveTo(x, y);
      open = true;
      label ??= [x, y, depth];
    }
    if (points.length === 1 && label) context.arc(label[0], label[1], Math.max(width / 2, 1), 0, 7);
    context.globalAlpha = alpha;
    context.strokeStyle = colour;
    context.lineWidth = width;
    context.setLineDash(dash);
    context.stroke();
  }
  context.restore();
  if (label) text(context, nerve.is_target ? `${nerve.name} (target)` : nerve.name, label[0] + 6 * unitPx, label[1] - 6 * unitPx, Math.max(SMALLEST_PX, 10.5 * unitPx), "#cfe8fa");
}

function drawLandmark(context: CanvasRenderingContext2D, projection: Projection, one: SceneLandmark, unitPx: number): void {
  const [x, y, depth] = projection.project(one.point_mm);
  if (Math.abs(depth) > Math.max(2, one.sd_mm ?? 0) + SLAB_MM) return;
  const arm = 6 * unitPx;
  const path = new Path2D();
  path.moveTo(x - arm, y); path.lineTo(x + arm, y);
  path.moveTo(x, y - arm); path.lineTo(x, y + arm);
  stroke(context, path, "#ffffff", 1.6 * unitPx, []);
  if (one.sd_mm) {
    const ring = new Path2D();
    ring.arc(x, y, one.sd_mm / projection.perPixel, 0, 2 * Math.PI);
    stroke(context, ring, "#ffffff", 1 * unitPx, [2, 3]);
  }
}

function drawNeedle(context: CanvasRenderingContext2D, projection: Projection, needle: Needle, activeTip: number, unitPx: number): void {
  const tip = projection.project(needle.tip);
  const hub = projection.project(needle.hub);
  const bare = projection.project(add(needle.tip, scale(unit(sub(needle.hub, needle.tip)), activeTip)));
  const line = (a: number[], b: number[]): Path2D => {
    const path = new Path2D();
    path.moveTo(a[0]!, a[1]!);
    path.lineTo(b[0]!, b[1]!);
    return path;
  };
  const far = Math.abs(tip[2]) > SLAB_MM;
  context.save();
  context.lineCap = "butt";
  context.globalAlpha = far ? 0.75 : 1;
  stroke(context, line(tip, hub), "#9aa7b1", 3 * unitPx, far ? [6, 4] : []);
  stroke(context, line(tip, bare), "#ffffff", 3.4 * unitPx, []);
  for (const [place, filled] of [[tip, true], [hub, false]] as [number[], boolean][]) {
    const ring = new Path2D();
    ring.arc(place[0]!, place[1]!, (HANDLE_PX * 0.62) * unitPx, 0, 2 * Math.PI);
    stroke(context, ring, "#ffffff", 1.8 * unitPx, []);
    if (filled) { context.fillStyle = "rgba(255,255,255,0.25)"; context.fill(ring); }
  }
  context.restore();
}

function crosshair(context: CanvasRenderingContext2D, projection: Projection, look: Look, size: number): void {
  const [x, y] = projection.project(look.centre);
  const gap = size / 30;
  context.save();
  context.strokeStyle = "rgba(255,255,255,0.38)";
  context.lineWidth = 1;
  context.beginPath();
  for (const [a, b, c, d] of [[0, y, x - gap, y], [x + gap, y, size, y], [x, 0, x, y - gap], [x, y + gap, x, size]] as [number, number, number, number][]) {
    context.moveTo(a, b);
    context.lineTo(c, d);
  }
  context.stroke();
  context.restore();
}

function letters(context: CanvasRenderingContext2D, [left, right, top, bottom]: readonly [string, string, string, string], size: number): void {
  const font = Math.max(12, size / 32);
  text(context, left, 6, size / 2 + font / 3, font, "#ffffff");
  text(context, right, size - font, size / 2 + font / 3, font, "#ffffff");
  text(context, top, size / 2 - font / 3, font * 1.1, font, "#ffffff");
  const above = size < NARROW_PX ? 2 * font : 0; // the caption takes the corner and more of a narrow plane
  text(context, bottom, size / 2 - font / 3, size - 7 - above, font, "#ffffff");
}

function scaleBar(context: CanvasRenderingContext2D, projection: Projection, size: number): void {
  const mm = [1, 2, 5, 10, 20, 50, 100].find((one) => one / projection.perPixel > size / 9) ?? 100;
  const path = new Path2D();
  const y = size - 10;
  path.moveTo(10, y);
  path.lineTo(10 + mm / projection.perPixel, y);
  stroke(context, path, "#ffffff", 2, []);
  text(context, `${mm} mm`, 10, y - 6, Math.max(11, size / 40), "#ffffff");
}
