// Line charts as SVG with axes, units, bands and a text for those who do not see them.
import { figure } from "../model/words.ts";

export interface Series {
  label: string;
  x: readonly number[];
  y: readonly (number | null)[];
  low?: readonly number[];
  high?: readonly number[];
  dash?: string;
  colour?: string;
  dots?: boolean;
}

export interface Rule {
  value: number;
  label: string;
  colour?: string;
}

interface Props {
  title: string;
  xLabel: string;
  yLabel: string;
  series: readonly Series[];
  rules?: readonly Rule[];
  yMax?: number;
  yMin?: number;
  height?: number;
  /** Of the drawing: a chart shown small is drawn small, so that its words stay readable. */
  width?: number;
  marker?: number | null;
  onPick?: (x: number) => void;
}

const WIDE = 640;
const LEFT = 52;
const RIGHT = 14;
const TOP = 26;
const BOTTOM = 38;
const LETTER = 6.6;
export const DASHES = ["", "7 4", "2 3", "9 3 2 3"];

function ticks(low: number, high: number, count = 5): number[] {
  const span = high - low || 1;
  const raw = span / count;
  const base = 10 ** Math.floor(Math.log10(raw));
  const step = [1, 2, 2.5, 5, 10].map((k) => k * base).find((one) => one >= raw) ?? raw;
  const found: number[] = [];
  for (let value = Math.ceil(low / step) * step; value <= high + 1e-9; value += step) found.push(Number(value.toPrecision(10)));
  return found;
}

function finite(values: Iterable<number | null | undefined>): number[] {
  return [...values].filter((value): value is number => typeof value === "number" && Number.isFinite(value));
}

function range(values: number[]): [number, number] {
  let low = Infinity;
  let high = -Infinity;
  for (const value of values) { low = Math.min(low, value); high = Math.max(high, value); }
  return low <= high ? [low, high] : [0, 1];
}

export function LineChart(props: Props) {
  const height = props.height ?? 240;
  const width = props.width ?? WIDE;
  const [x0, x1raw] = range(props.series.flatMap((one) => finite(one.x)));
  const x1 = x1raw > x0 ? x1raw : x0 + 1;
  const all = props.series.flatMap((one) => [...finite(one.y), ...finite(one.low ?? []), ...finite(one.high ?? [])]);
  const [low, high] = range([...all, ...(props.rules ?? []).map((rule) => rule.value)]);
  const y0 = props.yMin ?? Math.min(0, low);
  const y1 = props.yMax ?? (high > y0 ? high + 0.06 * (high - y0) : y0 + 1);
  const sx = (x: number) => LEFT + ((x - x0) / (x1 - x0)) * (width - LEFT - RIGHT);
  const sy = (y: number) => height - BOTTOM - ((y - y0) / (y1 - y0)) * (height - TOP - BOTTOM);
  const pick = (event: PointerEvent) => {
    const box = (event.currentTarget as SVGElement).getBoundingClientRect();
    const along = ((event.clientX - box.left) / box.width) * width;
    props.onPick?.(x0 + ((along - LEFT) / (width - LEFT - RIGHT)) * (x1 - x0));
  };
  return (
    <figure>
      <svg class="chart" viewBox={`0 0 ${width} ${height}`} role="img" aria-label={spoken(props)} onPointerDown={props.onPick ? pick : undefined}>
        {ticks(y0, y1, 4).map((value) => (
          <g key={value}>
            <line class="grid" x1={LEFT} x2={width - RIGHT} y1={sy(value)} y2={sy(value)} />
            <text x={LEFT - 6} y={sy(value) + 4} text-anchor="end">{String(value).replace("-", "−")}</text>
          </g>
        ))}
        {ticks(x0, x1, Math.round(width / 80)).map((value) => (
          <text x={sx(value)} y={height - BOTTOM + 15} text-anchor="middle" key={value}>{value}</text>
        ))}
        <line class="axis" x1={LEFT} x2={width - RIGHT} y1={height - BOTTOM} y2={height - BOTTOM} />
        {props.series.map((one, k) => <Curve one={one} k={k} sx={sx} sy={sy} key={one.label} />)}
        {(props.rules ?? []).filter((rule) => rule.value <= y1).map((rule) => (
          <g key={rule.label}>
            <line x1={LEFT} x2={width - RIGHT} y1={sy(rule.value)} y2={sy(rule.value)} stroke={rule.colour ?? "var(--danger)"} stroke-width="2" stroke-dasharray="6 3" />
            <text x={clearest(props.series, rule, sx, sy, width)} y={sy(rule.value) - 6} text-anchor="middle">{rule.label}</text>
          </g>
        ))}
        {props.marker !== null && props.marker !== undefined && (
          <line x1={sx(props.marker)} x2={sx(props.marker)} y1={TOP} y2={height - BOTTOM} class="axis" stroke-width="2" />
        )}
        <text x={(LEFT + width - RIGHT) / 2} y={height - 5} text-anchor="middle">{props.xLabel}</text>
        <text x={4} y={12}>{props.yLabel}</text>
      </svg>
      {props.series.length > 1 && (
        <ul class="legend">
          {props.series.map((one, k) => (
            <li key={one.label}>
              <svg width="26" height="10" aria-hidden="true"><line x1="1" x2="25" y1="5" y2="5" stroke={one.colour ?? "var(--ink)"} stroke-width="2" stroke-dasharray={one.dash ?? DASHES[k % 4]} /></svg>
              {one.label}
            </li>
          ))}
        </ul>
      )}
    </figure>
  );
}

/** Where along a rule its words meet the curves least. */
function clearest(series: readonly Series[], rule: Rule, sx: (x: number) => number, sy: (y: number) => number, width: number): number {
  const half = (rule.label.length * LETTER) / 2;
  const y = sy(rule.value) - 10;
  const points = series.flatMap((one) => one.x.flatMap((x, k) => [one.y[k], one.low?.[k], one.high?.[k]].flatMap((value) => (typeof value === "number" && Number.isFinite(value) ? [[sx(x), sy(value)] as const] : []))));
  const room = (at: number) => points.reduce((least, [px, py]) => (Math.abs(px - at) <= half + 4 ? Math.min(least, Math.abs(py - y)) : least), Infinity);
  const places = [width - RIGHT - 2 - half, LEFT + 2 + half, (LEFT + width - RIGHT) / 2];
  return places.reduce((best, one) => (room(one) > room(best) ? one : best));
}

function Curve(props: { one: Series; k: number; sx: (x: number) => number; sy: (y: number) => number }) {
  const { one, sx, sy } = props;
  let path = "";
  let open = false;
  one.x.forEach((x, k) => {
    const y = one.y[k];
    if (typeof y !== "number" || !Number.isFinite(y)) { open = false; return; }
    path += `${open ? "L" : "M"}${sx(x).toFixed(1)} ${sy(y).toFixed(1)}`;
    open = true;
  });
  const { low, high } = one;
  const band = low && high
    ? `M${one.x.map((x, k) => `${sx(x).toFixed(1)} ${sy(high[k] ?? 0).toFixed(1)}`).join("L")}L${[...one.x.keys()].reverse().map((k) => `${sx(one.x[k] ?? 0).toFixed(1)} ${sy(low[k] ?? 0).toFixed(1)}`).join("L")}Z`
    : "";
  return (
    <g>
      {band && <path class="band" d={band} />}
      <path class="line" d={path} stroke={one.colour} stroke-dasharray={one.dash ?? DASHES[props.k % 4]} />
      {one.dots && one.x.map((x, k) => typeof one.y[k] === "number" && <circle class="mark" cx={sx(x)} cy={sy(one.y[k] as number)} r="4" key={k} />)}
    </g>
  );
}

function spoken(props: Props): string {
  const parts = props.series.map((one) => {
    const [low, high] = range(finite(one.y));
    return `${one.label}: ${figure(low, 2)} to ${figure(high, 2)}`;
  });
  return `${props.title}, ${props.yLabel} against ${props.xLabel}. ${parts.join("; ")}`;
}
