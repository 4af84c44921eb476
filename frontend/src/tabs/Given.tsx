// Stimulation tests, and each burn or injection as it was given.
import type { CaseStore } from "../model/store.ts";
import { capital } from "../model/words.ts";
import { toast } from "../parts/toast.tsx";
import { CheckField, Empty, NumberField, Panel, SelectField, Tag, TextField, YesNo } from "../parts/ui.tsx";
import { now, type Given, type RoomProps, type Tested } from "./room.ts";

const options = (values: string[]) => values.map((value) => ({ value, label: capital(value) }));

export function StimulationPanel({ room, edit }: RoomProps) {
  const list = room.stimulation ?? [];
  const set = (k: number, values: Partial<Tested>) => edit((one) => { one.stimulation = (one.stimulation ?? []).map((other, n) => (n === k ? { ...other, ...values } : other)); });
  const add = () => edit((one) => { one.stimulation = [...(one.stimulation ?? []), { time: now(), needle: 1 }]; });
  const remove = (k: number) => {
    const before = list;
    edit((one) => { one.stimulation = (one.stimulation ?? []).filter((_, n) => n !== k); });
    toast("The test is removed.", { label: "Undo", run: () => edit((one) => { one.stimulation = before; }) });
  };
  return (
    <Panel title="Stimulation and impedance" note="Before anaesthetic or lesion." actions={<button onClick={add}>Add a test</button>}>
      {!list.length && <Empty title="No test yet"><p>Thresholds as the generator shows them. What was not tested stays empty.</p></Empty>}
      {list.map((one, k) => (
        <fieldset class="stack tight" key={k}>
          <legend>Test {k + 1}, {one.time.slice(11, 19)} <button class="plain" onClick={() => remove(k)} aria-label={`Remove test ${k + 1}`}>Remove</button></legend>
          <div class="fields">
            <NumberField label="Needle" value={one.needle} min={1} step={1} onChange={(value) => value && set(k, { needle: value })} />
            <NumberField label="Sensory threshold" unit="V" value={one.sensory_threshold_v ?? null} onChange={(value) => set(k, { sensory_threshold_v: value })} />
            <NumberField label="Movement at" unit="V" value={one.motor_threshold_v ?? null} onChange={(value) => set(k, { motor_threshold_v: value })} />
            <NumberField label="No movement up to" unit="V" value={one.motor_none_up_to_v ?? null} onChange={(value) => set(k, { motor_none_up_to_v: value })} />
            <NumberField label="Impedance" unit="Ω" value={one.impedance_ohm ?? null} onChange={(value) => set(k, { impedance_ohm: value })} />
          </div>
          <div class="row">
            <YesNo label="Felt where the pain is" value={one.sensory_where_the_pain_is} onChange={(value) => set(k, { sensory_where_the_pain_is: value })} />
            <YesNo label="Movement of a limb" value={one.motor_of_limb} onChange={(value) => set(k, { motor_of_limb: value })} />
          </div>
          {one.motor_of_limb && <p class="notice stop" role="alert"><strong>Stop</strong>A limb moves: the needle is near a motor nerve.</p>}
        </fieldset>
      ))}
    </Panel>
  );
}

export function GivenPanel(props: RoomProps & { store: CaseStore }) {
  const { room, edit } = props;
  const list = room.steps ?? [];
  const treatment = props.store.mine.treatment;
  const target = props.store.mine.target;
  const add = (kind: string) => edit((one) => {
    const lesion = kind === "lesion" || kind === "injection";
    one.steps = [...(one.steps ?? []), {
      kind, start: now(), needle: 1, side: target?.side ?? null, level: target?.bony_level ?? null,
      technique: lesion ? (treatment?.technique ?? "not stated") : kind, instrument: treatment?.instrument ?? "not stated",
      settings: {}, tip_mm: treatment?.placements?.[0]?.tip_mm ?? null,
    }];
  });
  const set = (k: number, values: Partial<Given>) => edit((one) => { one.steps = (one.steps ?? []).map((other, n) => (n === k ? { ...other, ...values } : other)); });
  const remove = (k: number) => {
    const before = list;
    edit((one) => { one.steps = (one.steps ?? []).filter((_, n) => n !== k); });
    toast("The step is removed.", { label: "Undo", run: () => edit((one) => { one.steps = before; }) });
  };
  return (
    <Panel title="Given" note="Each burn and injection as it was, in order." actions={<><button onClick={() => add("local anaesthetic")}>Anaesthetic</button><button onClick={() => add("contrast")}>Contrast</button><button onClick={() => add("lesion")}>Lesion</button><button onClick={() => add("injection")}>Injection</button></>}>
      {!list.length && <Empty title="Nothing given yet"><p>Press what is given when it is given: the time is taken then.</p></Empty>}
      {list.map((one, k) => (
        <fieldset class="stack tight" key={k}>
          <legend>{k + 1}. {capital(one.kind)}, {one.start.slice(11, 19)} {one.aborted && <Tag kind="bad">aborted</Tag>} <button class="plain" onClick={() => remove(k)} aria-label={`Remove step ${k + 1}`}>Remove</button></legend>
          <div class="fields">
            <NumberField label="Needle" value={one.needle} min={1} step={1} onChange={(value) => value && set(k, { needle: value })} />
            {one.kind !== "lesion" && <TextField label="Agent" list="room-agents" value={one.agent ?? ""} onChange={(agent) => set(k, { agent })} />}
            {one.kind !== "lesion" && <NumberField label="Volume" unit="mL" value={one.volume_ml ?? null} onChange={(value) => set(k, { volume_ml: value })} />}
            {one.kind !== "lesion" && <SelectField label="Aspiration" empty="not said" value={one.aspiration ?? ""} options={options(["negative", "blood", "cerebrospinal fluid", "air", "not done"])} onChange={(value) => set(k, { aspiration: value || null })} />}
            {one.kind === "contrast" && <SelectField label="Contrast pattern" empty="not said" value={one.contrast_pattern ?? ""} options={options(["as expected", "into a vessel", "epidural", "intrathecal", "into the nerve", "other", "no contrast"])} onChange={(value) => set(k, { contrast_pattern: value || null })} />}
            {one.kind === "lesion" && <NumberField label="Impedance just before" unit="Ω" value={one.impedance_ohm ?? null} onChange={(value) => set(k, { impedance_ohm: value })} />}
            {one.kind === "lesion" && <NumberField label="Duration" unit="s" value={one.duration_s ?? null} onChange={(value) => set(k, { duration_s: value })} />}
            {one.kind === "lesion" && <NumberField label="Highest or lowest temperature" unit="°C" value={one.peak_temperature_c ?? null} onChange={(value) => set(k, { peak_temperature_c: value })} />}
            <TextField label="Settings and note" value={one.note ?? ""} onChange={(note) => set(k, { note })} />
          </div>
          {one.aspiration && one.aspiration !== "negative" && one.aspiration !== "not done" && <p class="notice stop" role="alert"><strong>Stop</strong>Aspiration gave {one.aspiration}: do not inject here.</p>}
          {one.contrast_pattern && !["as expected", "no contrast"].includes(one.contrast_pattern) && <p class="notice stop" role="alert"><strong>Stop</strong>Contrast {one.contrast_pattern}.</p>}
          <CheckField label="Aborted" value={one.aborted ?? false} onChange={(aborted) => set(k, { aborted })} />
          {one.aborted && <TextField label="Reason of the abort (needed)" value={one.abort_reason ?? ""} onChange={(abort_reason) => set(k, { abort_reason })} />}
        </fieldset>
      ))}
      <datalist id="room-agents">{(room.agents ?? []).map((one, k) => <option value={one.name} key={k} />)}</datalist>
    </Panel>
  );
}
