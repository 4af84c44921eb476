// The body outline to paint pain on: press and draw over areas, or reach them with the keyboard.
import { useRef } from "preact/hooks";
import type { BodyView, Catalogue, PainArea, Side } from "../model/types.ts";

type Corners = readonly (readonly [number, number])[];

function polygon(corners: Corners): string {
  return `M${corners.map(([x, y]) => `${x} ${y}`).join("L")}Z`;
}

/** A smooth closed curve through the outline's corners. */
function smooth(points: Corners, closed = true): string {
  const count = points.length;
  const at = (k: number) => (closed ? points[((k % count) + count) % count]! : points[Math.min(Math.max(k, 0), count - 1)]!);
  let path = `M${points[0]![0]} ${points[0]![1]}`;
  for (let k = 0; k < (closed ? count : count - 1); k++) {
    const [a, b, c, d] = [at(k - 1), at(k), at(k + 1), at(k + 2)];
    path += `C${[0, 1].map((i) => (b[i]! + (c[i]! - a[i]!) / 6).toFixed(1)).join(" ")} ${[0, 1].map((i) => (c[i]! - (d[i]! - b[i]!) / 6).toFixed(1)).join(" ")} ${c[0]} ${c[1]}`;
  }
  return path + (closed ? "Z" : "");
}

function flipped(corners: Corners, view: BodyView): Corners {
  return view.flip ? corners.map(([x, y]) => [view.width - x, y] as const) : corners;
}

function mirrored(corners: Corners, view: BodyView): Corners {
  return corners.map(([x, y]) => [2 * (view.middle ?? 0) - x, y] as const);
}

function outline(view: BodyView): string {
  if (view.closed) return smooth(flipped(view.outline, view));
  const other = [...mirrored(view.outline, view)].reverse().filter(([x]) => x !== view.middle);
  return smooth([...view.outline, ...other]);
}

interface Shape {
  area: string;
  side: Side | null;
  path: string;
}

function shapes(view: BodyView): Shape[] {
  const found: Shape[] = [];
  const own = view.half_is ?? "right";
  const other: Side = own === "right" ? "left" : "right";
  for (const [area, corners] of Object.entries(view.areas ?? {})) {
    found.push({ area, side: own, path: polygon(corners) }, { area, side: other, path: polygon(mirrored(corners, view)) });
  }
  for (const [area, corners] of Object.entries(view.middle_areas ?? {})) found.push({ area, side: null, path: polygon(corners) });
  for (const [area, { side, corners }] of Object.entries(view.own_areas ?? {})) found.push({ area, side, path: polygon(flipped(corners, view)) });
  return found;
}

interface Props {
  map: Catalogue["body_map"];
  pain: readonly PainArea[];
  onPaint: (area: string, side: Side | null, on: boolean) => void;
}

export function BodyMap(props: Props) {
  const brush = useRef<boolean | null>(null);
  const titles = new Map(Object.entries(props.map.areas));
  const marked = (area: string, side: Side | null) => props.pain.find((one) => one.area === area && (titles.get(area)?.sided ? one.side === side : true));
  const paint = (shape: Shape, on: boolean) => props.onPaint(shape.area, titles.get(shape.area)?.sided ? shape.side : null, on);
  const lift = () => { brush.current = null; };
  return (
    <div class="body-map" onPointerUp={lift} onPointerLeave={lift}>
      {Object.entries(props.map.shapes).map(([name, view]) => {
        const top = name === "head" ? 95 : 0;
        return (
          <figure key={name}>
            <svg class={name} viewBox={`0 ${top} ${view.width} ${name === "head" ? 205 : 405}`} role="group" aria-label={`Body map, ${view.title}`}>
              <defs>
                <clipPath id={`clip-${name}`}><path d={outline(view)} /></clipPath>
                <pattern id="pain-fill" width="6" height="6" patternUnits="userSpaceOnUse"><rect width="6" height="6" fill="#f1b7a6" /><path d="M0 6L6 0" stroke="#8a2c12" stroke-width="1" /></pattern>
                <pattern id="main-fill" width="5" height="5" patternUnits="userSpaceOnUse"><rect width="5" height="5" fill="#c8492a" /><path d="M0 5L5 0M0 0L5 5" stroke="#5c1a08" stroke-width="1" /></pattern>
              </defs>
              <path class="skin" d={outline(view)} />
              <g clip-path={`url(#clip-${name})`}>
                {shapes(view).map((shape) => {
                  const found = marked(shape.area, shape.side);
                  const title = [shape.side, titles.get(shape.area)?.title ?? shape.area].filter(Boolean).join(" ");
                  return (
                    <path
                      key={shape.area + (shape.side ?? "")}
                      class={`area ${found ? "on" : ""} ${found?.main ? "main" : ""}`}
                      d={shape.path}
                      role="checkbox"
                      tabIndex={0}
                      aria-checked={Boolean(found)}
                      aria-label={title}
                      data-area={shape.area}
                      data-side={shape.side ?? ""}
                      onPointerDown={(event) => { event.preventDefault(); (event.target as Element).releasePointerCapture?.(event.pointerId); brush.current = !found; paint(shape, !found); }}
                      onPointerEnter={(event) => { if (brush.current !== null && event.buttons && Boolean(found) !== brush.current) paint(shape, brush.current); }}
                      onKeyDown={(event) => { if (event.key === " " || event.key === "Enter") { event.preventDefault(); paint(shape, !found); } }}
                    ><title>{title}</title></path>
                  );
                })}
              </g>
              {view.eyes?.map(([x, y], k) => <ellipse key={k} cx={x} cy={y} rx="7" ry="4" fill="none" class="axis" stroke="var(--border)" pointer-events="none" />)}
              {view.mouth && <path d={smooth(view.mouth, false)} fill="none" stroke="var(--border)" pointer-events="none" />}
              {view.half_is && <>
                <text class="letter" x={0.12 * view.width} y={top + 14}>{view.half_is === "right" ? "R" : "L"}</text>
                <text class="letter" x={0.88 * view.width} y={top + 14}>{view.half_is === "right" ? "L" : "R"}</text>
              </>}
            </svg>
            <figcaption>{view.title}</figcaption>
          </figure>
        );
      })}
    </div>
  );
}
