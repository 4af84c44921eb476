// Window, zoom, labels; and the needle's coordinates as numbers, for the keyboard and for exact work.
import type { CaseStore } from "../model/store.ts";
import type { Placement, Point } from "../model/types.ts";
import { figure } from "../model/words.ts";
import { useViewer } from "../pages/context.ts";
import { NumberField } from "../parts/ui.tsx";
import { add, rounded, scale, sub, unit } from "./geometry.ts";
import type { ViewerState } from "./state.ts";

const WINDOWS: [string, [number, number]][] = [["Bone", [400, 1800]], ["Soft tissue", [40, 400]], ["Wide", [300, 3000]]];

export function Controls({ viewer }: { viewer: ViewerState }) {
  useViewer(viewer);
  const { volume } = viewer;
  if (!volume) return null;
  const value = volume.valueAt(viewer.centre);
  const label = viewer.labels >= 0 && volume.labels[viewer.labels] ? volume.labelAt(volume.labels[viewer.labels]!, viewer.centre) : "";
  const ct = (volume.head.modality ?? "CT") === "CT";
  return (
    <div class="controls">
      <label>Window <input type="range" min={50} max={4000} step={10} value={viewer.window[1]} onInput={(event) => viewer.change({ window: [viewer.window[0], Number(event.currentTarget.value)] })} /></label>
      <label>Level <input type="range" min={-1000} max={2000} step={10} value={viewer.window[0]} onInput={(event) => viewer.change({ window: [Number(event.currentTarget.value), viewer.window[1]] })} /></label>
      {ct && WINDOWS.map(([name, window]) => <button key={name} onClick={() => viewer.change({ window: [...window] })}>{name}</button>)}
      <label>Zoom <input type="range" min={15} max={300} step={1} value={315 - Math.min(300, viewer.width)} onInput={(event) => viewer.change({ width: 315 - Number(event.currentTarget.value) })} /></label>
      <label>Labels <select value={String(viewer.labels)} onChange={(event) => viewer.change({ labels: Number(event.currentTarget.value) })}>
        <option value="-1">off</option>
        {volume.labels.map((one, k) => <option value={String(k)} key={one.name}>{one.name}</option>)}
      </select></label>
      <label><input type="checkbox" checked={viewer.showNerves} onChange={(event) => viewer.change({ showNerves: event.currentTarget.checked })} /> Nerves and landmarks</label>
      <button onClick={() => { const tip = viewer.placements[0]?.tip_mm ?? volume.centre; viewer.change({ centre: [...tip], middle: [...tip] }); }}>{viewer.placements.length ? "To the tip" : "To the middle"}</button>
      <span class="muted">{["L", "P", "S"].map((letter, k) => `${letter} ${figure(viewer.centre[k])}`).join("  ")} mm{value === null ? "" : ` · ${figure(value, 0)}${ct ? " HU" : ""}`}{label ? ` · ${label}` : ""}</span>
    </div>
  );
}

/** Keeps the placements of the case; `done` after each change. */
export function setPlacements(store: CaseStore, placements: Placement[], label = "move the needle"): void {
  store.edit(label, (one) => { if (one.treatment) one.treatment.placements = placements; });
}

export function NeedleNumbers(props: { store: CaseStore; viewer: ViewerState; onDone: () => void }) {
  const { store, viewer } = props;
  useViewer(viewer);
  return (
    <div class="stack">
      {viewer.placements.map((placement, k) => (
        <fieldset key={k} class="stack tight">
          <legend>Needle {viewer.placements.length > 1 ? k + 1 : ""}{placement.role === "return" ? " (return)" : ""}</legend>
          <div class="fields three numbers">
            {(["left +", "back +", "head +"] as const).map((name, axis) => (
              <NumberField key={name} label={`Tip, ${name}`} unit="mm" step={0.5} value={round(placement.tip_mm[axis]!)} onChange={(value) => { if (value !== null) change(k, tipTo(placement, axis, value)); }} />
            ))}
          </div>
          <div class="fields three numbers">
            <NumberField label="Deeper by" unit="mm" step={0.5} value={0} onChange={(value) => { if (value) change(k, deeper(placement, value)); }} />
            <NumberField label="Hub to left" unit="°" step={1} value={round(angles(placement)[0])} onChange={(value) => { if (value !== null) change(k, turned(placement, value, angles(placement)[1])); }} />
            <NumberField label="Hub to head" unit="°" step={1} value={round(angles(placement)[1])} onChange={(value) => { if (value !== null) change(k, turned(placement, angles(placement)[0], value)); }} />
          </div>
        </fieldset>
      ))}
      <div class="row"><button onClick={props.onDone}>Simulate this place</button></div>
    </div>
  );

  function change(k: number, placement: Placement): void {
    setPlacements(store, (store.mine.treatment?.placements ?? []).map((one, other) => (other === k ? placement : one)));
    viewer.tell();
  }
}

function round(value: number): number {
  return Math.round(value * 10) / 10;
}

function tipTo(placement: Placement, axis: number, value: number): Placement {
  const by: Point = [0, 0, 0];
  by[axis] = value - placement.tip_mm[axis]!;
  return { ...placement, tip_mm: rounded(add(placement.tip_mm, by)), towards_hub_mm: rounded(add(placement.towards_hub_mm, by)) };
}

function deeper(placement: Placement, mm: number): Placement {
  const by = scale(unit(sub(placement.tip_mm, placement.towards_hub_mm)), mm);
  return { ...placement, tip_mm: rounded(add(placement.tip_mm, by)), towards_hub_mm: rounded(add(placement.towards_hub_mm, by)) };
}

/** Degrees of the hub off straight back: to the patient's left, and to the head. */
function angles(placement: Placement): [number, number] {
  const [x, y, z] = unit(sub(placement.towards_hub_mm, placement.tip_mm));
  return [(Math.atan2(x, y) * 180) / Math.PI, (Math.asin(Math.max(-1, Math.min(1, z))) * 180) / Math.PI];
}

function turned(placement: Placement, left: number, head: number): Placement {
  const a = (left * Math.PI) / 180;
  const b = (head * Math.PI) / 180;
  const direction: Point = [Math.sin(a) * Math.cos(b), Math.cos(a) * Math.cos(b), Math.sin(b)];
  return { ...placement, towards_hub_mm: rounded(add(placement.tip_mm, scale(direction, 100))) };
}
