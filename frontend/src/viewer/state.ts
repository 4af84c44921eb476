// What the viewer remembers of a case across tabs: image, scene, where one looks, and the preview.
import { told } from "../model/api.ts";
import type { CaseStore } from "../model/store.ts";
import type { Placement, Point } from "../model/types.ts";
import { readPreview, type Field } from "./field.ts";
import { add, needleFrame, rounded, scale, sub, unit, type Matrix } from "./geometry.ts";
import { readScene, type Needle, type SceneData } from "./scene.ts";
import { measured } from "./timing.ts";
import { Volume } from "./volume.ts";

export const SHAFT_MM = 45;

export interface Lesion {
  field: Field;
  toLps: Matrix;
  preview: boolean;
}

export class ViewerState {
  volume: Volume | null = null;
  scene: SceneData | null = null;
  preview: Field | null = null;
  problem = "";
  sceneProblem = "";
  previewProblem = "";
  loading = true;
  centre: Point = [0, 0, 0];
  middle: Point = [0, 0, 0];
  width = 120;
  window: [number, number] = [300, 1500];
  labels = -1;
  showNerves = true;
  /** Needles while they are dragged; null otherwise. */
  live: Placement[] | null = null;
  private readonly watchers = new Set<() => void>();
  closed = false;
  private scenes = 0;
  private asked = 0;

  constructor(readonly store: CaseStore) {}

  watch(watcher: () => void): () => void {
    this.watchers.add(watcher);
    return () => this.watchers.delete(watcher);
  }

  /** Draw again everything that shows this; how long that took is kept for the benchmark. */
  tell(): void {
    const start = performance.now();
    for (const watcher of this.watchers) watcher();
    measured(this.live ? "needle-move" : "view-change", start);
  }

  change(values: Partial<Pick<ViewerState, "centre" | "middle" | "width" | "window" | "labels" | "showNerves">>): void {
    Object.assign(this, values);
    this.tell();
  }

  async load(): Promise<void> {
    const id = this.store.loaded.id;
    this.loading = true;
    try {
      this.volume = await Volume.read(id);
      if (this.volume) {
        this.window = this.volume.head.window ?? this.window;
        this.centre = this.volume.centre;
        const { low, high } = this.volume.bounds;
        this.width = Math.max(40, 1.02 * Math.max(...high.map((value, axis) => value - low[axis]!)));
        const tip = this.store.mine.treatment?.placements?.[0]?.tip_mm;
        if (tip) { this.centre = [...tip]; this.width = Math.min(this.width, 100); }
        this.middle = [...this.centre];
      }
      this.problem = "";
    } catch (error) {
      this.problem = told(error);
    }
    this.loading = false;
    this.tell();
    await Promise.all([this.volume?.readLabels(id).then(() => this.tell()), this.loadScene(), this.loadPreview()]);
  }

  async loadScene(): Promise<void> {
    const mine = ++this.scenes;
    try {
      const found = await readScene(this.store.loaded.id);
      if (mine === this.scenes) { this.scene = found; this.sceneProblem = found?.target_not_found ?? ""; }
    } catch (error) {
      this.sceneProblem = told(error);
    }
    this.tell();
  }

  async loadPreview(): Promise<void> {
    if (!this.store.loaded.case.treatment?.placements?.length) { this.preview = null; this.previewProblem = ""; return; }
    const asked = ++this.asked;
    try {
      this.preview = await readPreview(this.store.loaded.id, () => asked !== this.asked || this.closed);
      this.previewProblem = "";
    } catch (error) {
      this.preview = null;
      this.previewProblem = told(error);
    }
    this.tell();
  }

  get placements(): Placement[] {
    return this.live ?? this.store.mine.treatment?.placements ?? [];
  }

  get needles(): Needle[] {
    return this.placements.map(needleOf);
  }

  /** The previewed lesion of each needle. */
  get previews(): Lesion[] {
    const { preview } = this;
    return preview ? this.needles.map(({ tip, hub }) => ({ field: preview, toLps: needleFrame(tip, hub), preview: true })) : [];
  }
}

/** Tip and a handle at a fixed length up the shaft. */
export function needleOf(placement: Placement): Needle {
  const along = unit(sub(placement.towards_hub_mm, placement.tip_mm));
  return { tip: placement.tip_mm, hub: add(placement.tip_mm, scale(along, SHAFT_MM)) };
}

/** A placement moved by one of its handles: the tip carries the whole needle, the hub turns it about the tip. */
export function moved(placement: Placement, part: "tip" | "hub", point: Point): Placement {
  const { tip, hub } = needleOf(placement);
  if (part === "tip") {
    const by = sub(point, tip);
    return { ...placement, tip_mm: rounded(point), towards_hub_mm: rounded(add(placement.towards_hub_mm, by)) };
  }
  const along = sub(point, tip);
  const direction = Math.hypot(...along) < 1 ? unit(sub(hub, tip)) : unit(along);
  return { ...placement, towards_hub_mm: rounded(add(tip, scale(direction, 100))) };
}
