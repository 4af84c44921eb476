// Three slices through one point: wheel and arrow keys change the slice, handles move the needle.
import { useEffect, useRef, useState } from "preact/hooks";
import type { Point } from "../model/types.ts";
import { figure } from "../model/words.ts";
import { add, scale } from "./geometry.ts";
import { HANDLE_PX, Painter, Projection, type Look, type Shown } from "./painter.ts";
import { PLANES, type Needle, type PlaneName } from "./scene.ts";
import { moved, type Lesion, type ViewerState } from "./state.ts";
import { measured } from "./timing.ts";

export interface PlaneProps {
  viewer: ViewerState;
  name: PlaneName;
  lesion: Lesion | null;
  activeTip: number;
  /** Those of the case where not given. */
  needles?: readonly Needle[];
  /** What stands before the plane's name, where several pictures show one plane. */
  title?: string;
  /** Where given, a click picks a point instead of moving the crosshair. */
  onPick?: ((point: Point) => void) | undefined;
  /** Where given, needles can be moved; called when a handle is let go. */
  onNeedle?: ((placements: ViewerState["placements"]) => void) | undefined;
}

const TITLES: Record<PlaneName, string> = { axial: "Axial", coronal: "Coronal", sagittal: "Sagittal" };
const KEYS: Record<string, [number, number, number]> = {
  ArrowUp: [0, 0, 1], ArrowDown: [0, 0, -1], PageUp: [0, 0, 5], PageDown: [0, 0, -5],
};

interface Drag {
  kind: "handle" | "window" | "pan" | "cross";
  index: number;
  part: "tip" | "hub";
  x: number;
  y: number;
  window: [number, number];
  middle: Point;
}

function lookOf(viewer: ViewerState): Look {
  return { centre: viewer.centre, width: viewer.width, middle: viewer.middle, window: viewer.window, labels: viewer.labels, showNerves: viewer.showNerves };
}

export function Plane(props: PlaneProps) {
  const { viewer, name } = props;
  const canvas = useRef<HTMLCanvasElement>(null);
  const painter = useRef(new Painter());
  const drag = useRef<Drag | null>(null);
  const latest = useRef(props);
  latest.current = props;
  const [, redraw] = useState(0);

  const shown = (): Shown => {
    const { lesion, activeTip } = latest.current;
    const moving = viewer.live !== null;
    const preview = viewer.previews[0] ?? null;
    return {
      nerves: viewer.scene?.nerves ?? [],
      landmarks: [...(viewer.scene?.landmarks ?? []).filter((one) => !one.picked), ...(viewer.store.mine.landmarks ?? []).map((one) => ({ name: one.name, point_mm: one.point_mm, sd_mm: one.position_sd_mm ?? null }))],
      needles: latest.current.needles ?? viewer.needles,
      activeTip,
      lesion: moving && !latest.current.needles ? preview : lesion,
    };
  };

  const paint = () => {
    const element = canvas.current;
    if (!element) return;
    const start = performance.now();
    painter.current.paint(element, name, viewer.volume, lookOf(viewer), shown());
    measured(viewer.live ? "needle-preview" : "slice", start);
  };

  useEffect(() => {
    const element = canvas.current;
    if (!element) return;
    const fit = () => {
      const size = Math.max(64, Math.round(element.clientWidth * Math.min(window.devicePixelRatio || 1, 2)));
      if (element.width !== size) element.width = element.height = size;
      paint();
    };
    const watcher = new ResizeObserver(fit);
    watcher.observe(element);
    const stop = viewer.watch(() => { paint(); redraw((n) => n + 1); });
    const wheel = (event: WheelEvent) => {
      event.preventDefault();
      if (event.ctrlKey) viewer.change({ width: clampWidth(viewer.width * (event.deltaY > 0 ? 1.12 : 1 / 1.12)) });
      else step(event.deltaY > 0 ? -1 : 1);
    };
    element.addEventListener("wheel", wheel, { passive: false });
    return () => { watcher.disconnect(); stop(); element.removeEventListener("wheel", wheel); };
  }, [viewer, name]);
  useEffect(paint, [props.lesion, props.activeTip, props.needles, viewer.store.mine]);

  const step = (count: number) => {
    const along = viewer.volume ? Math.min(...viewer.volume.spacing) : 1;
    viewer.change({ centre: add(viewer.centre, scale(PLANES[name].normal, count * Math.max(0.5, along))) });
  };
  const spot = (event: PointerEvent): [number, number, Projection] => {
    const element = canvas.current!;
    const ratio = element.width / element.getBoundingClientRect().width;
    const box = element.getBoundingClientRect();
    return [(event.clientX - box.left) * ratio, (event.clientY - box.top) * ratio, new Projection(name, lookOf(viewer), element.width)];
  };

  const down = (event: PointerEvent) => {
    const [x, y, projection] = spot(event);
    canvas.current?.setPointerCapture(event.pointerId);
    const base = { index: 0, part: "tip" as const, x, y, window: viewer.window, middle: viewer.middle };
    const grabbed = latest.current.onNeedle && event.button === 0 ? handleAt(viewer, projection, x, y) : null;
    if (grabbed) {
      drag.current = { ...base, kind: "handle", ...grabbed };
      viewer.live = viewer.placements.map((one) => ({ ...one }));
    } else if (event.button === 2 || event.shiftKey) drag.current = { ...base, kind: "window" };
    else if (event.button === 1 || event.altKey) drag.current = { ...base, kind: "pan" };
    else if (latest.current.onPick) latest.current.onPick(projection.point(x, y));
    else {
      drag.current = { ...base, kind: "cross" };
      viewer.change({ centre: projection.point(x, y) });
    }
  };

  const move = (event: PointerEvent) => {
    const held = drag.current;
    if (!held) return;
    const [x, y, projection] = spot(event);
    const { right, down: downward } = PLANES[name];
    const by = (scaleBy: number): Point => add(scale(right, (x - held.x) * scaleBy), scale(downward, (y - held.y) * scaleBy));
    if (held.kind === "handle" && viewer.live) {
      const placement = viewer.live[held.index]!;
      const from = held.part === "tip" ? placement.tip_mm : viewer.needles[held.index]!.hub;
      viewer.live = viewer.live.map((one, k) => (k === held.index ? moved(one, held.part, add(from, by(projection.perPixel))) : one));
      held.x = x;
      held.y = y;
      viewer.tell();
    } else if (held.kind === "window") {
      viewer.change({ window: [held.window[0] - 2 * (y - held.y), Math.max(10, held.window[1] + 4 * (x - held.x))] });
    } else if (held.kind === "pan") viewer.change({ middle: add(held.middle, by(-projection.perPixel)) });
    else viewer.change({ centre: projection.point(x, y) });
  };

  const up = () => {
    const held = drag.current;
    drag.current = null;
    if (held?.kind !== "handle" || !viewer.live) return;
    const placements = viewer.live;
    viewer.live = null;
    latest.current.onNeedle?.(placements);
    viewer.tell();
  };

  const key = (event: KeyboardEvent) => {
    const count = KEYS[event.key]?.[2];
    if (count !== undefined) { event.preventDefault(); step(count); }
    else if (event.key === "+" || event.key === "=") viewer.change({ width: clampWidth(viewer.width / 1.2) });
    else if (event.key === "-") viewer.change({ width: clampWidth(viewer.width * 1.2) });
  };

  const place = viewer.centre[name === "axial" ? 2 : name === "coronal" ? 1 : 0]!;
  const letter = name === "axial" ? (place >= 0 ? "S" : "I") : name === "coronal" ? (place >= 0 ? "P" : "A") : place >= 0 ? "L" : "R";
  const moving = viewer.live !== null;
  return (
    <div class="plane" data-plane={name}>
      <canvas
        ref={canvas}
        tabIndex={0}
        role="img"
        aria-label={`${props.title ? `${props.title}: ` : ""}${TITLES[name]} slice at ${letter} ${figure(Math.abs(place))} mm. Arrow up and down change the slice, plus and minus zoom.`}
        onPointerDown={down}
        onPointerMove={move}
        onPointerUp={up}
        onPointerCancel={up}
        onKeyDown={key}
        onContextMenu={(event) => event.preventDefault()}
      />
      <span class="caption low">{props.title ? `${props.title} · ` : ""}{TITLES[name]} · {letter} {figure(Math.abs(place))} mm</span>
      {((moving && !props.needles) || props.lesion?.preview) && <span class="preview-mark">preview</span>}
    </div>
  );
}

function clampWidth(width: number): number {
  return Math.min(600, Math.max(15, width));
}

function handleAt(viewer: ViewerState, projection: Projection, x: number, y: number): { index: number; part: "tip" | "hub" } | null {
  let best = (HANDLE_PX + 7) * (projection.size / 420);
  let found: { index: number; part: "tip" | "hub" } | null = null;
  viewer.needles.forEach((needle, index) => (["tip", "hub"] as const).forEach((part) => {
    const [px, py] = projection.project(needle[part]);
    const away = Math.hypot(px - x, py - y);
    if (away < best) { best = away; found = { index, part }; }
  }));
  return found;
}
