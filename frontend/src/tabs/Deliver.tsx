// Step 4: technique, protocol and instrument; the simulation, what it says, and the approval.
import { useEffect, useState } from "preact/hooks";
import { casePath } from "../model/api.ts";
import type { Json, Placement, PlanRow, TechniqueInfo } from "../model/types.ts";
import { capital, moment, plain } from "../model/words.ts";
import { tabParts, useStore, useViewer, useWorld, type TabProps } from "../pages/context.ts";
import { SchemaForm } from "../parts/SchemaForm.tsx";
import { Citations } from "../parts/source.tsx";
import { Empty, Panel, SelectField, Tag, TextField, useData, waiting } from "../parts/ui.tsx";
import { NeedleNumbers, setPlacements } from "../viewer/Controls.tsx";
import { length, sub, unit } from "../viewer/geometry.ts";
import type { Lesion } from "../viewer/state.ts";
import { Viewer } from "../viewer/Viewer.tsx";
import { Approval } from "./Approval.tsx";
import { Compare } from "./Compare.tsx";
import { InstrumentPicker } from "./Instrument.tsx";
import { LesionPicker, usePlanLesion } from "./PlanLesion.tsx";
import { PlanResults, type PlanRecord } from "./PlanResults.tsx";
import type { PlanStatus } from "../model/types.ts";
import { activeTipOf } from "./Localize.tsx";

export interface PlanData {
  record: PlanRecord;
  status: PlanStatus;
  row: PlanRow;
  citations: Record<string, string>;
}

export function Deliver({ store, viewer, work }: TabProps) {
  useStore(store);
  useViewer(viewer, tabParts);
  const { catalogue } = useWorld();
  const id = store.loaded.id;
  const plans = useData<PlanRow[]>(casePath(id, "plans"), work.stamp);
  const [chosen, setChosen] = useState<number | null>(null);
  const newest = plans.value?.at(-1)?.number ?? null;
  useEffect(() => { if (newest !== null) setChosen(newest); }, [newest]);
  const number = chosen ?? newest;
  const plan = useData<PlanData>(number === null ? null : casePath(id, `plans/${number}`), work.stamp);
  const shown = usePlanLesion(id, number);
  const [arrival, setArrival] = useState<number | null>(null);
  const seconds = arrival === null ? null : shown.arrival?.unit === "min" ? 60 * arrival : arrival;
  const moved = isMoved(store.mine.treatment?.placements ?? [], plan.value);
  const timed: Lesion | null = shown.arrival && arrival !== null ? { field: { ...shown.arrival.field, lesionLevel: -arrival, lesionLabel: `at ${arrival.toFixed(1)} ${shown.arrival.unit}` }, toLps: shown.arrival.toLps, preview: false } : null;
  const lesion = moved || !shown.lesion ? (viewer.previews[0] ?? null) : (timed ?? shown.lesion);
  const placed = catalogue.techniques.find((one) => one.name === store.mine.treatment?.technique)?.places_instrument !== false;
  const hasNeedle = Boolean(store.mine.treatment?.placements?.length);
  return (
    <>
      <h1 class="hidden">Deliver</h1>
      <div class="workbench deliver">
        <div class="stack view">
          <Viewer
            viewer={viewer}
            lesion={lesion}
            activeTip={activeTipOf(store, catalogue)}
            onNeedle={hasNeedle ? (placements) => { setPlacements(store, placements); void work.simulate(); } : undefined}
            side={shown.lesion && !moved && <LesionPicker shown={shown} time={arrival} onTime={setArrival} />}
          />
          {moved && number !== null && <p class="notice warn" role="note"><strong>Preview</strong>The needle is not where plan {number} has it. What is drawn is one needle in one tissue: it says nothing about coverage or limits. Run the simulation for that.</p>}
        </div>
        <div class="stack results">
          {plan.value && <Citations.Provider value={plan.value.citations}><PlanResults caseId={id} data={plan.value} time={seconds} onPoint={(point) => viewer.change({ centre: point, middle: point })} /></Citations.Provider>}
        </div>
        <div class="stack side-panels">
          <Recipe store={store} work={work} viewer={viewer} />
          <Panel title="Plans" note="Each is kept as it was made. A change makes a new one.">
            {waiting(plans, "the plans")}
            {plans.value && !plans.value.length && <Empty title="No plan yet"><p>Set the protocol{placed ? ", place the needle," : ""} then run the simulation. It takes about half a minute and goes on when you leave the page.</p></Empty>}
            {plans.value && plans.value.length > 0 && (
              <ul class="notices">
                {[...plans.value].reverse().map((row) => (
                  <li class="notice row between" key={row.number}>
                    <span><strong>Plan {row.number}</strong>{capital(String(row.summary["coverage"] ?? row.summary["title"] ?? ""))}<span class="small muted"> {moment(row.made_at)}, case version {row.case_version}</span></span>
                    <span class="row"><Tag kind={row.mark === "DRAFT" ? "" : "good"}>{row.mark === "DRAFT" ? "DRAFT" : "approved"}</Tag><button aria-pressed={row.number === number} onClick={() => setChosen(row.number)}>Show</button></span>
                  </li>
                ))}
              </ul>
            )}
          </Panel>
          {plan.value && <Approval caseId={id} data={plan.value} onDone={work.touched} />}
          {plan.value && <Exports caseId={id} data={plan.value} />}
        </div>
      </div>
      {plans.value && plans.value.length > 1 && <Compare caseId={id} plans={plans.value} viewer={viewer} />}
    </>
  );
}

/** Current needs a generator and, with one needle, a way back. */
function isElectric(technique: TechniqueInfo | undefined): boolean {
  return technique?.places_instrument !== false && (technique?.instrument?.kinds.includes("electrode") ?? true);
}

const NEAR_MM = 0.05;

/** Whether the needles of the case lie elsewhere than the plan has them. */
function isMoved(now: readonly Placement[], data: PlanData | null): boolean {
  const then = data?.record.plan.placements;
  if (!then) return false;
  if (now.length !== then.length) return true;
  return now.some((one, k) => {
    const old = then[k]!;
    const turn = sub(unit(sub(one.towards_hub_mm, one.tip_mm)), old.direction_to_hub);
    return length(sub(one.tip_mm, old.tip_mm)) > NEAR_MM || length(turn) > 0.002;
  });
}

function Recipe({ store, work, viewer }: TabProps) {
  const { catalogue } = useWorld();
  const treatment = store.mine.treatment;
  const technique = catalogue.techniques.find((one) => one.name === treatment?.technique);
  const choose = (name: string) => store.edit("technique", (one) => {
    if (!name) { one.treatment = null; return; }
    const next = catalogue.techniques.find((other) => other.name === name);
    const old = one.treatment ?? null;
    const fits = next?.places_instrument !== false;
    one.treatment = { ...(old ?? {}), technique: name, protocol: old?.technique === name ? old.protocol : {}, instrument: fits ? (old?.instrument ?? null) : null, generator: isElectric(next) ? (old?.generator ?? null) : null, placements: fits ? (old?.placements ?? []) : [] };
    if (!isElectric(next)) { delete one.treatment["return_pad_site"]; delete one.treatment["return_path_resistance_ohm"]; }
  });
  const set = (name: string, value: Json) => store.edit(`protocol ${plain(name)}`, (one) => {
    if (!one.treatment) return;
    const protocol = { ...one.treatment.protocol, [name]: value };
    if (value === null) delete protocol[name];
    one.treatment.protocol = protocol;
  });
  const instrument = (value: string) => store.edit("instrument", (one) => {
    if (!one.treatment) return;
    one.treatment.instrument = value || null;
    if (!value) return;
    one.treatment.placements = (one.treatment.placements ?? []).map((placement) => ({ ...placement, instrument: value }));
  });
  const other = (key: string) => (value: string) => store.edit(plain(key), (one) => { if (one.treatment) one.treatment[key] = value || null; });
  return (
    <Panel title="Technique and protocol" class="recipe" actions={<button class="main" disabled={!treatment || (technique?.places_instrument !== false && !treatment.placements?.length)} onClick={() => void work.simulate()}>Run the simulation</button>}>
      <div class="stack">
        <SelectField label="Technique" empty="not chosen" value={treatment?.technique ?? ""} options={catalogue.techniques.map((one) => ({ value: one.name, label: one.title }))} onChange={choose} />
        {treatment && technique && (
          <>
            <SchemaForm schema={technique.protocol_schema} value={treatment.protocol} onChange={set} />
            {technique.places_instrument && <InstrumentPicker instruments={catalogue.instruments} technique={technique} value={treatment.instrument ?? ""} placements={treatment.placements ?? []} onChange={instrument} />}
            <div class="fields">
              {isElectric(technique) && <SelectField label="Generator" empty="none" value={treatment.generator ?? ""} options={catalogue.generators.map((one) => ({ value: one.id, label: one.name }))} onChange={other("generator")} />}
              {isElectric(technique) && <TextField label="Return pad at" value={(treatment["return_pad_site"] as string) ?? ""} onChange={other("return_pad_site")} />}
              <SelectField label="Patient lies" empty="not said" value={(treatment["position"] as string) ?? ""} options={["prone", "supine", "left lateral", "right lateral", "sitting"].map((value) => ({ value, label: value }))} onChange={other("position")} />
            </div>
            {!technique.places_instrument
              ? <p class="small muted">An operation: nothing is placed in the image. What is freed is told along the nerve.</p>
              : treatment.placements?.length
                ? <details><summary>Needle in numbers</summary><NeedleNumbers store={store} viewer={viewer} onDone={() => void work.simulate()} /></details>
                : <p class="notice warn"><strong>No needle</strong>Place it under <a href={`#/case/${encodeURIComponent(store.loaded.id)}/localize`}>Localize</a>.</p>}
          </>
        )}
        {!treatment && <p class="muted">Choose a technique: its settings appear here.</p>}
      </div>
    </Panel>
  );
}

function Exports({ caseId, data }: { caseId: string; data: PlanData }) {
  const base = casePath(caseId, `plans/${data.row.number}`);
  const draft = data.status.approved ? "" : " (DRAFT)";
  return (
    <Panel title="Report and exports" note={draft ? "Not approved: everything carries the mark DRAFT." : data.status.mark}>
      <ul class="lines">
        <li><a href={`${base}/report.html`} target="_blank" rel="noopener">Report{draft}</a>, <a href={`${base}/report.pdf`} target="_blank" rel="noopener">as PDF{draft}</a></li>
        <li><a href={`${casePath(caseId, "decision-aid")}?format=html&language=en`} target="_blank" rel="noopener">Decision aid for the patient</a>, <a href={`${casePath(caseId, "decision-aid")}?format=html&language=de`} target="_blank" rel="noopener">in German</a></li>
        <li><a href={`${base}/dicom.zip`} download>DICOM objects{draft}</a></li>
        <li><a href={`${base}/fhir.json`} download>FHIR bundle{draft}</a></li>
        <li><a href={casePath(caseId, "export")} download>The whole case as one file</a></li>
      </ul>
    </Panel>
  );
}
