// The four panels together, and what is said where something is missing.
import colours from "palette";
import type { ComponentChildren } from "preact";
import type { Point } from "../model/types.ts";
import { useViewer } from "../pages/context.ts";
import { Empty, Swatch } from "../parts/ui.tsx";
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
  const viewer = useViewer(props.viewer);
  if (viewer.loading) return <div class="viewer"><p role="status">Reading the image…</p></div>;
  if (viewer.problem) return <Empty title="The image cannot be shown"><p>{viewer.problem}</p></Empty>;
  if (!viewer.volume) {
    return (
      <Empty title="This case has no image yet">
        <p>Go to <a href="#/">all cases</a> and drop a folder or ZIP of DICOM there: it becomes a case with its image. Evaluation, anaesthesia and follow-up work without one.</p>
      </Empty>
    );
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
        <li><Swatch colour={colours.lesion} />Lesion{props.lesion ? `: ${props.lesion.field.lesionLabel}` : ""}{props.lesion?.preview ? " (preview in one tissue: no verdict)" : ""}</li>
        <li><Swatch colour={colours.isotherm} />Isotherms and other levels</li>
        <li><Swatch colour="#ffffff" />Needle: drag the filled ring at the tip to move it, the open ring up the shaft to turn it</li>
      </ul>
      <p class="small">Wheel or arrow keys change the slice, Ctrl and wheel zoom, Shift and drag window and level, Alt and drag move the picture.</p>
    </div>
  );
}
