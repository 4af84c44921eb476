// The simulated lesion of a plan for the viewer: which criterion, and how it grew.
import { useEffect, useState } from "preact/hooks";
import { told } from "../model/api.ts";
import { figure } from "../model/words.ts";
import { readArrival, readFieldsHead, readPlanField, type Arrival, type PlanFields } from "../viewer/field.ts";
import type { Lesion } from "../viewer/state.ts";

export interface ShownLesion {
  fields: PlanFields | null;
  criterion: string;
  choose: (id: string) => void;
  lesion: Lesion | null;
  arrival: Arrival | null;
  problem: string;
}

export function usePlanLesion(caseId: string, plan: number | null): ShownLesion {
  const [fields, setFields] = useState<PlanFields | null>(null);
  const [criterion, choose] = useState("");
  const [lesion, setLesion] = useState<Lesion | null>(null);
  const [arrival, setArrival] = useState<Arrival | null>(null);
  const [problem, setProblem] = useState("");
  useEffect(() => {
    let gone = false;
    setFields(null);
    setLesion(null);
    setArrival(null);
    if (plan === null) return;
    readFieldsHead(caseId, plan).then(async (found) => {
      if (gone || !found) return;
      setFields(found);
      const grown = await readArrival(caseId, plan, found);
      if (!gone) setArrival(grown);
    }).catch((error: unknown) => setProblem(told(error)));
    return () => { gone = true; };
  }, [caseId, plan]);
  const known = fields?.head.criteria.find((one) => one.id === criterion) ?? fields?.head.criteria[0];
  useEffect(() => {
    let gone = false;
    if (!fields || !known || plan === null) return;
    readPlanField(caseId, plan, fields.head, known)
      .then((field) => { if (!gone) setLesion({ field, toLps: fields.toLps, preview: false }); })
      .catch((error: unknown) => setProblem(told(error)));
    return () => { gone = true; };
  }, [fields, known?.id]);
  return { fields, criterion: known?.id ?? "", choose, lesion, arrival, problem };
}

export function LesionPicker(props: { shown: ShownLesion; time: number | null; onTime: (time: number | null) => void }) {
  const { shown, time } = props;
  const last = shown.arrival?.last ?? 0;
  return (
    <div class="controls">
      <label>Lesion by <select value={shown.criterion} onChange={(event) => { props.onTime(null); shown.choose(event.currentTarget.value); }}>
        {shown.fields?.head.criteria.map((one) => <option value={one.id} key={one.id}>{one.label}</option>)}
      </select></label>
      {shown.arrival && last > 0 ? (
        <label class="grow">Time <input class="grow" type="range" min={0} max={last} step={last / 100} value={time ?? last} onInput={(event) => props.onTime(Number(event.currentTarget.value))} aria-valuetext={`${figure(time ?? last)} ${shown.arrival.unit}`} />
          <span>{time === null ? "over the whole run" : `${figure(time)} ${shown.arrival.unit}`}</span>
          {time !== null && <button onClick={() => props.onTime(null)}>Whole run</button>}
        </label>
      ) : <span class="muted">This simulation kept no times: the lesion is shown as it was at the end.</span>}
      {shown.problem && <span>{shown.problem}</span>}
    </div>
  );
}
