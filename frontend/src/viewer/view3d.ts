// The 3-D view: bone, nerves, lesion and needles. Loaded as a chunk of its own; slices work without it.
import "@kitware/vtk.js/Rendering/Profiles/Geometry";
import vtkDataArray from "@kitware/vtk.js/Common/Core/DataArray";
import vtkCellArray from "@kitware/vtk.js/Common/Core/CellArray";
import vtkImageData from "@kitware/vtk.js/Common/DataModel/ImageData";
import vtkPolyData from "@kitware/vtk.js/Common/DataModel/PolyData";
import vtkImageMarchingCubes from "@kitware/vtk.js/Filters/General/ImageMarchingCubes";
import vtkTubeFilter from "@kitware/vtk.js/Filters/General/TubeFilter";
import vtkSphereSource from "@kitware/vtk.js/Filters/Sources/SphereSource";
import vtkActor from "@kitware/vtk.js/Rendering/Core/Actor";
import vtkMapper from "@kitware/vtk.js/Rendering/Core/Mapper";
import vtkGenericRenderWindow from "@kitware/vtk.js/Rendering/Misc/GenericRenderWindow";
import colours from "palette";
import type { Point } from "../model/types.ts";
import { reachOf, sample, type Field } from "./field.ts";
import { add, determinant, multiply, scale, sub, unit, type Matrix } from "./geometry.ts";
import type { Needle, SceneData } from "./scene.ts";
import type { Volume } from "./volume.ts";

/** The part of the drawing surface that this view asks: both kinds have it, only one is typed so. */
interface Screen {
  worldToDisplay(x: number, y: number, z: number, renderer: unknown): number[];
  displayToWorld(x: number, y: number, z: number, renderer: unknown): number[];
  getSize(): [number, number];
}

const BONE_HU = 220;
const MOST_SAMPLES = 900_000;
const LESION_SAMPLES = 44;
const FARTHEST_MM = 90;
const HANDLE_MM = 2.4;
const GRAB_PX = 16;

function rgb(hex: string): [number, number, number] {
  return [1, 3, 5].map((k) => parseInt(hex.slice(k, k + 2), 16) / 255) as [number, number, number];
}

/** Rows to the column order of the graphics library. */
function columnOrder(m: Matrix): Float64Array {
  const found = new Float64Array(16);
  for (let r = 0; r < 4; r++) for (let c = 0; c < 4; c++) found[4 * c + r] = m[4 * r + c]!;
  return found;
}

type Actor = ReturnType<typeof vtkActor.newInstance>;

function surface(source: { getOutputPort: () => unknown }, colour: [number, number, number], opacity = 1): Actor {
  const mapper = vtkMapper.newInstance({ scalarVisibility: false });
  mapper.setInputConnection(source.getOutputPort() as never);
  const actor = vtkActor.newInstance();
  actor.setMapper(mapper);
  actor.getProperty().setColor(...colour);
  actor.getProperty().setOpacity(opacity);
  return actor;
}

function tube(points: readonly Point[], radius: number, colour: [number, number, number], opacity = 1): Actor {
  const data = vtkPolyData.newInstance();
  data.getPoints().setData(Float32Array.from(points.flat()), 3);
  data.setLines(vtkCellArray.newInstance({ values: Uint32Array.from([points.length, ...points.keys()]) }) as never);
  const filter = vtkTubeFilter.newInstance({ radius, numberOfSides: 16, capping: true });
  filter.setInputData(data);
  return surface(filter, colour, opacity);
}

function isosurface(values: Float32Array, size: [number, number, number], level: number): ReturnType<typeof vtkImageMarchingCubes.newInstance> {
  const image = vtkImageData.newInstance();
  image.setDimensions(...size); // the constructor's dimensions are ignored by this version
  image.getPointData().setScalars(vtkDataArray.newInstance({ values, numberOfComponents: 1 }));
  const cubes = vtkImageMarchingCubes.newInstance({ contourValue: level, computeNormals: true, mergePoints: true });
  cubes.setInputData(image);
  return cubes;
}

export class View3d {
  private readonly window = vtkGenericRenderWindow.newInstance({ background: [0.04, 0.055, 0.067], listenWindowResize: false });
  private readonly resize: ResizeObserver;
  private groups: Record<string, Actor[]> = {};
  private lesionSource: Field | null = null;
  private needles: Needle[] = [];
  private grabbed: { index: number; part: "tip" | "hub"; depth: number } | null = null;
  onNeedle: ((index: number, part: "tip" | "hub", point: Point, done: boolean) => void) | null = null;

  constructor(private readonly element: HTMLElement) {
    this.window.setContainer(element);
    this.window.resize();
    this.resize = new ResizeObserver(() => { this.window.resize(); this.render(); });
    this.resize.observe(element);
    element.addEventListener("pointerdown", this.down, { capture: true });
    element.addEventListener("pointermove", this.move, { capture: true });
    element.addEventListener("pointerup", this.up, { capture: true });
    element.addEventListener("pointercancel", this.up, { capture: true });
  }

  destroy(): void {
    this.resize.disconnect();
    for (const [kind, handler] of [["pointerdown", this.down], ["pointermove", this.move], ["pointerup", this.up], ["pointercancel", this.up]] as const) {
      this.element.removeEventListener(kind, handler, { capture: true });
    }
    this.window.delete();
    this.element.replaceChildren();
  }

  render(): void {
    this.window.getRenderer().resetCameraClippingRange();
    this.window.getRenderWindow().render();
  }

  private replace(group: string, actors: Actor[]): void {
    const renderer = this.window.getRenderer();
    for (const old of this.groups[group] ?? []) { renderer.removeActor(old); old.delete(); }
    for (const one of actors) renderer.addActor(one);
    this.groups[group] = actors;
  }

  /** Bone as a surface of the image, thinned to what a browser turns smoothly. */
  setVolume(volume: Volume): void {
    const [nx, ny, nz] = volume.head.shape;
    const skip = Math.max(1, Math.ceil(Math.cbrt((nx * ny * nz) / MOST_SAMPLES)));
    const size = [nx, ny, nz].map((n) => Math.max(2, Math.floor((n - 1) / skip) + 1)) as Point;
    const values = new Float32Array(size[0] * size[1] * size[2]);
    // A mirrored image would turn the surface inside out and leave it dark: then it is read from its far end.
    const mirrored = determinant(volume.toLps) < 0;
    const first = mirrored ? nx - 1 : 0;
    const stepX = mirrored ? -skip : skip;
    let p = 0;
    for (let k = 0; k < size[2]; k++) for (let j = 0; j < size[1]; j++) for (let i = 0; i < size[0]; i++) {
      values[p++] = volume.voxels[first + i * stepX + nx * (Math.min(j * skip, ny - 1) + ny * Math.min(k * skip, nz - 1))]!;
    }
    const actor = surface(isosurface(values, size, BONE_HU), [1, 0.965, 0.863], 0.42);
    actor.setUserMatrix(columnOrder(multiply(volume.toLps, [stepX, 0, 0, first, 0, skip, 0, 0, 0, 0, skip, 0, 0, 0, 0, 1])) as never);
    actor.getProperty().setBackfaceCulling(false);
    this.replace("bone", [actor]);
  }

  setScene(scene: SceneData): void {
    const nerve = rgb(colours.nerve);
    this.replace("nerves", scene.nerves.filter((one) => one.points_mm.length > 1).flatMap((one) => [
      tube(one.points_mm, one.is_target ? 1 : 0.7, nerve),
      ...(one.sd_mm ? [tube(one.points_mm, one.sd_mm, nerve, 0.22)] : []),
    ]));
    this.replace("landmarks", scene.landmarks.map((one) => {
      const ball = vtkSphereSource.newInstance({ center: one.point_mm, radius: 1.2, thetaResolution: 16, phiResolution: 12 });
      return surface(ball, [1, 1, 1]);
    }));
  }

  setNeedles(needles: readonly Needle[], activeTip: number): void {
    this.needles = [...needles];
    this.replace("needles", needles.flatMap(({ tip, hub }) => {
      const bare = add(tip, scale(unit(sub(hub, tip)), activeTip));
      const ball = (center: Point, colour: [number, number, number]) =>
        surface(vtkSphereSource.newInstance({ center, radius: HANDLE_MM, thetaResolution: 20, phiResolution: 14 }), colour, 0.85);
      return [tube([bare, hub], 0.7, [0.6, 0.65, 0.7]), tube([tip, bare], 0.8, [1, 1, 1]), ball(tip, [1, 1, 1]), ball(hub, [0.6, 0.65, 0.7])];
    }));
  }

  /** The lesion's surface; moving it only changes a matrix, so that a drag stays quick. */
  setLesion(field: Field | null, frames: readonly Matrix[]): void {
    if (!field) { this.lesionSource = null; this.replace("lesion", []); return; }
    const [ax, ay, az] = field.axes;
    const reach = Math.min(FARTHEST_MM, reachOf(field, field.lesionLevel) + 1);
    const low = [ax, ay, az].map((axis) => Math.max(axis[0]!, -reach)) as Point;
    const step = [ax, ay, az].map((axis, k) => (Math.min(axis[axis.length - 1]!, reach) - low[k]!) / (LESION_SAMPLES - 1)) as Point;
    const toLocal: Matrix = [step[0], 0, 0, low[0], 0, step[1], 0, low[1], 0, 0, step[2], low[2], 0, 0, 0, 1];
    const known = this.groups["lesion"] ?? [];
    if (field !== this.lesionSource || known.length !== frames.length) {
      const values = resampled(field, low, step);
      this.replace("lesion", frames.map(() => surface(isosurface(values, [LESION_SAMPLES, LESION_SAMPLES, LESION_SAMPLES], field.lesionLevel), rgb(colours.lesion), 0.45)));
      this.lesionSource = field;
    }
    this.groups["lesion"]!.forEach((actor, k) => actor.setUserMatrix(columnOrder(multiply(frames[k]!, toLocal)) as never));
  }

  /** Look at a point from the back and above, the way the patient lies for most of these treatments. */
  lookAt(point: Point, from: Point = [0.35, 1, 0.35]): void {
    const camera = this.window.getRenderer().getActiveCamera();
    camera.setFocalPoint(...point);
    camera.setPosition(...add(point, scale(unit(from), 260)));
    camera.setViewUp(0, 0, 1);
    camera.setViewAngle(26);
    this.render();
  }

  private display(point: Point): Point {
    const view = this.window.getApiSpecificRenderWindow() as unknown as Screen;
    const found = view.worldToDisplay(...point, this.window.getRenderer()) as unknown as Point;
    const [width, height] = view.getSize();
    const box = this.element.getBoundingClientRect();
    return [(found[0] / width) * box.width, box.height - (found[1] / height) * box.height, found[2]];
  }

  private world(x: number, y: number, depth: number): Point {
    const view = this.window.getApiSpecificRenderWindow() as unknown as Screen;
    const [width, height] = view.getSize();
    const box = this.element.getBoundingClientRect();
    return [...(view.displayToWorld((x / box.width) * width, ((box.height - y) / box.height) * height, depth, this.window.getRenderer()) as unknown as Point)] as Point;
  }

  private place(event: PointerEvent): [number, number] {
    const box = this.element.getBoundingClientRect();
    return [event.clientX - box.left, event.clientY - box.top];
  }

  private readonly down = (event: PointerEvent): void => {
    if (!this.onNeedle) return;
    const [x, y] = this.place(event);
    let best = GRAB_PX;
    this.needles.forEach((needle, index) => (["tip", "hub"] as const).forEach((part) => {
      const [px, py, depth] = this.display(needle[part]);
      const away = Math.hypot(px - x, py - y);
      if (away < best) { best = away; this.grabbed = { index, part, depth }; }
    }));
    if (!this.grabbed) return;
    event.stopPropagation();
    event.preventDefault();
    this.element.setPointerCapture(event.pointerId);
  };

  private readonly move = (event: PointerEvent): void => {
    if (!this.grabbed) return;
    event.stopPropagation();
    const [x, y] = this.place(event);
    this.onNeedle?.(this.grabbed.index, this.grabbed.part, this.world(x, y, this.grabbed.depth), false);
  };

  private readonly up = (event: PointerEvent): void => {
    if (!this.grabbed) return;
    event.stopPropagation();
    const [x, y] = this.place(event);
    const { index, part, depth } = this.grabbed;
    this.grabbed = null;
    this.onNeedle?.(index, part, this.world(x, y, depth), true);
  };

  /** Where a handle is on screen, for tests and for the keyboard's focus ring. */
  handle(index: number, part: "tip" | "hub"): [number, number] | null {
    const needle = this.needles[index];
    if (!needle) return null;
    const [x, y] = this.display(needle[part]);
    return [x, y];
  }
}

function resampled(field: Field, low: Point, step: Point): Float32Array {
  const n = LESION_SAMPLES;
  const values = new Float32Array(n * n * n);
  const [min] = [field.values.reduce((found, value) => Math.min(found, value), Infinity)];
  let p = 0;
  for (let k = 0; k < n; k++) for (let j = 0; j < n; j++) for (let i = 0; i < n; i++) {
    const value = sample(field, low[0] + i * step[0], low[1] + j * step[1], low[2] + k * step[2]);
    values[p++] = Number.isNaN(value) ? min : value;
  }
  return values;
}
