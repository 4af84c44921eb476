// The four panels together, and what is said where something is missing.
import colours from "palette";
import type { ComponentChildren } from "preact";
import { useRef, useState } from "preact/hooks";
import { casePath, told, upload } from "../model/api.ts";
import { zipFiles } from "../model/dropped.ts";
import type { Point } from "../model/types.ts";
import { tabParts, useViewer, useWorld } from "../pages/context.ts";
import { Empty, Swatch, Trouble } from "../parts/ui.tsx";
import { Controls } from "./Controls.tsx";
import { Plane } from "./Planes.tsx";
import type { PlaneName } from "./scene.ts";
import { Space } from "./Space.tsx";
import type { Lesion, ViewerState } from "./state.ts";

interface Props {
  viewer: ViewerState;
  lesion: Lesion | null;
  activeTip: number;
  onPick?: ((point: Point) => void) | undefined;
  onNeedle?: ((placements: ViewerState["placements"]) => void) | undefined;
  side?: ComponentChildren;
  /** A fifth picture beside the 3-D view. */
  beside?: ComponentChildren;
}

const NAMES: PlaneName[] = ["axial", "coronal", "sagittal"];

export function Viewer(props: Props) {
  const viewer = useViewer(props.viewer, tabParts);
  const { catalogue } = useWorld();
  const key = catalogue.techniques.find((one) => one.name === viewer.store.mine.treatment?.technique)?.instrument?.key ?? "Instrument: end that acts white, shaft grey";
  if (viewer.loading) return <div class="viewer"><p role="status">Reading the image…</p></div>;
  if (viewer.problem) return <Empty title="The image cannot be shown"><p>{viewer.problem}</p></Empty>;
  if (!viewer.volume) {
    return <AddImage viewer={viewer} />;
  }
  return (
    <div class="viewer">
      <Controls viewer={viewer} />
      <div class={`planes ${props.beside ? "five" : "four"}`}>
        {NAMES.map((name) => <Plane key={name} name={name} viewer={viewer} lesion={props.lesion} activeTip={props.activeTip} onPick={props.onPick} onNeedle={props.onNeedle} />)}
        <Space viewer={viewer} lesion={props.lesion} activeTip={props.activeTip} onNeedle={props.onNeedle} />
        {props.beside}
      </div>
      {props.side}
      <ul class="legend">
        <li><Swatch colour={colours.nerve} />Nerve; the wide band is one standard deviation of its place</li>
        {props.lesion && <li><Swatch colour={colours.lesion} />Lesion: {props.lesion.field.lesionLabel}{props.lesion.preview ? " (preview in one tissue: no verdict)" : ""}</li>}
        {props.lesion && <li><Swatch colour={colours.isotherm} />Isotherms and other levels</li>}
        {viewer.placements.length > 0 && <li><Swatch colour="#ffffff" />{key}{props.onNeedle ? ". Drag the filled ring at the tip to move it, the open ring up the shaft to turn it" : ""}</li>}
      </ul>
      <p class="small">Wheel or arrow keys change the slice, Ctrl and wheel zoom, Shift and drag window and level, Alt and drag move the picture.</p>
    </div>
  );
}

function AddImage({ viewer }: { viewer: ViewerState }) {
  const file = useRef<HTMLInputElement>(null);
  const [busy, setBusy] = useState(false);
  const [problem, setProblem] = useState("");
  const add = async (list: File[]) => {
    if (!list.length) return;
    setBusy(true);
    setProblem("");
    try {
      if (!(await viewer.store.save("before an image"))) return;
      await upload(casePath(viewer.store.loaded.id, "image"), list.length === 1 ? list[0]! : await zipFiles(list), viewer.store.loaded.version);
      await viewer.store.reload();
      await viewer.load();
    } catch (error) {
      setProblem(told(error));
    } finally {
      setBusy(false);
    }
  };
  return (
    <Empty title="This case has no image yet">
      <p>Add the planning CT or MR: a ZIP of DICOM, or a NIfTI file. Evaluation, anaesthesia and follow-up work without one.</p>
      <input ref={file} type="file" multiple class="hidden" tabIndex={-1} aria-label="Image to add" onChange={(event) => void add([...(event.currentTarget.files ?? [])])} />
      <button class="main" disabled={busy} onClick={() => file.current?.click()}>{busy ? "Reading the image…" : "Add an image"}</button>
      {problem && <Trouble error={problem} />}
    </Empty>
  );
}
