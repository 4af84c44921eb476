// Two plans side by side: their lesions in one place, what differs in the setting, and what came of it.
import { useMemo, useState } from "preact/hooks";
import { casePath } from "../model/api.ts";
import type { PlanRow } from "../model/types.ts";
import { capital, figure, moment, percent } from "../model/words.ts";
import { useWorld } from "../pages/context.ts";
import { Panel, SelectField, useData, waiting } from "../parts/ui.tsx";
import { add, scale } from "../viewer/geometry.ts";
import { Plane } from "../viewer/Planes.tsx";
import type { PlaneName } from "../viewer/scene.ts";
import { SHAFT_MM, type ViewerState } from "../viewer/state.ts";
import { endOf } from "./Instrument.tsx";
import { usePlanLesion } from "./PlanLesion.tsx";
import { isLowerBound, type PlanRecord } from "./PlanResults.tsx";

interface Comparison {
  a: PlanRecord;
  b: PlanRecord;
  settings: { label: string; a: string | null; b: string | null; same: boolean }[];
}

export function Compare(props: { caseId: string; plans: PlanRow[]; viewer: ViewerState }) {
  const numbers = props.plans.map((one) => one.number);
  const [a, setA] = useState(numbers.at(-2) ?? 1);
  const [b, setB] = useState(numbers.at(-1) ?? 1);
  const [open, setOpen] = useState(false);
  const data = useData<Comparison>(open ? `${casePath(props.caseId, "compare")}?a=${a}&b=${b}` : null);
  const options = props.plans.map((one) => ({ value: String(one.number), label: `Plan ${one.number}, ${moment(one.made_at)}` }));
  return (
    <Panel title="Two plans side by side" actions={<button aria-expanded={open} onClick={() => setOpen(!open)}>{open ? "Close" : "Compare"}</button>}>
      {open && (
        <div class="stack">
          <div class="compare">
            <SelectField label="First" value={String(a)} options={options} onChange={(value) => setA(Number(value))} />
            <SelectField label="Second" value={String(b)} options={options} onChange={(value) => setB(Number(value))} />
          </div>
          {waiting(data, "both plans")}
          {data.value && props.viewer.volume && <Pictures caseId={props.caseId} viewer={props.viewer} sides={[[a, data.value.a], [b, data.value.b]]} />}
          {data.value && <Table data={data.value} a={a} b={b} />}
        </div>
      )}
    </Panel>
  );
}

const PLANE_NAMES: PlaneName[] = ["axial", "coronal", "sagittal"];

/** One plane of both, through one point: moving in one moves the other. */
function Pictures(props: { caseId: string; viewer: ViewerState; sides: [number, PlanRecord][] }) {
  const [plane, setPlane] = useState<PlaneName>("axial");
  return (
    <div class="viewer">
      <div class="controls"><label>Plane <select value={plane} onChange={(event) => setPlane(event.currentTarget.value as PlaneName)}>{PLANE_NAMES.map((name) => <option value={name} key={name}>{name}</option>)}</select></label></div>
      <div class="planes two">{props.sides.map(([number, record], k) => <Picture key={`${k} ${number} ${plane}`} caseId={props.caseId} viewer={props.viewer} number={number} record={record} plane={plane} />)}</div>
    </div>
  );
}

function Picture(props: { caseId: string; viewer: ViewerState; number: number; record: PlanRecord; plane: PlaneName }) {
  const { catalogue } = useWorld();
  const shown = usePlanLesion(props.caseId, props.number);
  const { plan } = props.record;
  const needles = useMemo(() => plan.placements.map((one) => ({ tip: one.tip_mm, hub: add(one.tip_mm, scale(one.direction_to_hub, SHAFT_MM)) })), [plan]);
  const technique = catalogue.techniques.find((one) => one.name === plan.protocol.technique);
  const instrument = catalogue.instruments.find((one) => one.id === plan.placements[0]?.instrument.id);
  return (
    <div class="stack tight">
      <Plane viewer={props.viewer} name={props.plane} lesion={shown.lesion} activeTip={endOf(technique, plan.protocol, instrument)} needles={needles} title={`Plan ${props.number}`} />
      <p class="small">{shown.problem || (shown.lesion ? `Lesion: ${shown.lesion.field.lesionLabel}` : "This plan kept no lesion to draw.")}</p>
    </div>
  );
}

function rows(one: PlanRecord): Map<string, string> {
  const found = new Map<string, string>();
  found.set("Mark", one.mark);
  one.plan.placements.forEach((placement, k) => found.set(`Tip of needle ${k + 1}`, `${placement.tip_mm.map((value) => figure(value)).join(", ")} mm`));
  for (const nerve of one.injury.nerves) {
    found.set(`${nerve.nerve}: coverage`, nerve.coverage);
    for (const by of nerve.by_criterion) found.set(`${nerve.nerve}: longest by ${by.label}`, isLowerBound(by) ? `at least ${figure(by.longest_lesioned_mm)} mm` : `${figure(by.longest_lesioned_mm)} mm (${figure(by.length_p5_mm)}–${figure(by.length_p95_mm)}), ${percent(by.probability_critical)} reach the critical length`);
  }
  for (const structure of one.injury.structures) found.set(`${capital(structure.structure)}: distance`, `${figure(structure.distance_to_lesion_mm)} mm`);
  for (const lesion of one.lesions) found.set(`Lesion by ${one.criteria.find((other) => other.id === lesion.criterion)?.label ?? lesion.criterion}`, `${figure(lesion.width_mm)} × ${figure(lesion.length_mm)} mm`);
  found.set("Stops", one.stops.join(", ") || "none");
  return found;
}

function Table({ data, a, b }: { data: Comparison; a: number; b: number }) {
  const first = rows(data.a);
  const second = rows(data.b);
  const all = [
    ...data.settings.map((one) => [one.label, one.a ?? "–", one.b ?? "–"] as const),
    ...[...new Set([...first.keys(), ...second.keys()])].map((label) => [label, first.get(label) ?? "–", second.get(label) ?? "–"] as const),
  ];
  return (
    <div class="scroll"><table>
      <caption>Rows with a mark differ.</caption>
      <thead><tr><th>What</th><th>Plan {a}</th><th>Plan {b}</th></tr></thead>
      <tbody>{all.map(([label, one, other]) => (
        <tr key={label}><td class={one === other ? "" : "marked differs"}>{label}{one !== other && <span class="hidden"> (differs)</span>}</td><td>{one}</td><td>{other}</td></tr>
      ))}</tbody>
    </table></div>
  );
}
