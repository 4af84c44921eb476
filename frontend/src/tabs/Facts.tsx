// Facts of the case: the person and the target.
import { useState } from "preact/hooks";
import type { CaseStore } from "../model/store.ts";
import type { Case, Side } from "../model/types.ts";
import { capital, plain, today } from "../model/words.ts";
import { useWorld } from "../pages/context.ts";
import { toast } from "../parts/toast.tsx";
import { Choices, NumberField, Panel, SelectField, TextField, YesNo, type Option } from "../parts/ui.tsx";

const SEXES: Option[] = ["female", "male", "other", "unknown"].map((one) => ({ value: one, label: one }));
const SIDES: Option[] = ["left", "right", "midline"].map((one) => ({ value: one, label: one }));

export function PersonPanel({ store }: { store: CaseStore }) {
  const { patient } = store.mine;
  const set = <K extends keyof Case["patient"]>(key: K) => (value: Case["patient"][K]) => store.edit(`patient ${plain(key)}`, (one) => { one.patient[key] = value; });
  return (
    <Panel title="Person" note="No name is kept in the case: the site's pseudonym.">
      <div class="stack">
        <div class="fields">
          <TextField label="Pseudonym" value={patient.id} onChange={set("id")} />
          <NumberField label="Born in" value={patient.birth_year ?? null} onChange={set("birth_year")} step={1} />
          <SelectField label="Sex" value={patient.sex ?? "unknown"} options={SEXES} onChange={set("sex")} />
          <NumberField label="Weight" unit="kg" value={patient.weight_kg ?? null} onChange={(value) => store.edit("patient weight", (one) => { one.patient.weight_kg = value; one.patient.weight_date = value === null ? null : today(); })} hint={patient.weight_date ? `measured ${patient.weight_date}` : ""} />
          <NumberField label="Height" unit="cm" value={patient.height_cm ?? null} onChange={set("height_cm")} />
          <TextField label="Day this case describes" type="date" value={store.mine.evaluated ?? ""} onChange={(value) => store.edit("day", (one) => { one.evaluated = value || null; })} />
        </div>
        <TextField label="Title of the case" value={store.mine.title ?? ""} onChange={(value) => store.edit("title", (one) => { one.title = value; })} />
        <TextField label="Complaint, in the patient's words" long value={store.mine.complaint ?? ""} onChange={(value) => store.edit("complaint", (one) => { one.complaint = value; })} />
        <Lists store={store} />
      </div>
    </Panel>
  );
}

/** Allergies and implants: unknown, none, or a list. The three are never confused. */
function Lists({ store }: { store: CaseStore }) {
  const allergies = store.mine.allergies;
  const implants = store.mine.implants;
  const kind = (value: unknown[] | null | undefined) => (value === null || value === undefined ? "unknown" : value.length ? "some" : "none");
  const options: Option[] = [{ value: "unknown", label: "Not asked" }, { value: "none", label: "None" }, { value: "some", label: "Yes" }];
  const [someAllergies, setSomeAllergies] = useState(false);
  const [someImplants, setSomeImplants] = useState(false);
  const shownAllergies = kind(allergies) === "some" || someAllergies ? "some" : kind(allergies);
  const shownImplants = kind(implants) === "some" || someImplants ? "some" : kind(implants);
  return (
    <div class="stack">
      <div class="row">
        <Choices legend="Allergies" value={shownAllergies} options={options} onChange={(value) => {
          setSomeAllergies(value === "some");
          store.edit("allergies", (one) => { one.allergies = value === "unknown" ? null : value === "none" ? [] : (one.allergies ?? []); });
        }} />
        <Choices legend="Implants or metal" value={shownImplants} options={options} onChange={(value) => {
          setSomeImplants(value === "some");
          store.edit("implants", (one) => { one.implants = value === "unknown" ? null : value === "none" ? [] : (one.implants ?? []); });
        }} />
        <YesNo label="List of medicines complete" value={store.mine.medications_complete} onChange={(value) => store.edit("medicines complete", (one) => { one.medications_complete = value; })} />
      </div>
      {shownAllergies === "some" && <TextField label="Allergies, separated by commas" value={(allergies ?? []).join(", ")} onChange={(value) => store.edit("allergies", (one) => { one.allergies = value.split(",").map((part) => part.trimStart()).filter(Boolean); })} />}
      {shownImplants === "some" && <TextField label="Implants, separated by commas" hint="An electronic one (pacemaker, stimulator): write “electronic” behind it." value={(implants ?? []).map((one) => one.name).join(", ")} onChange={(value) => store.edit("implants", (one) => { one.implants = value.split(",").map((part) => part.trimStart()).filter(Boolean).map((name) => ({ name, electronic: /electronic|pacemaker|defibrillator|stimulator|pump/i.test(name) })); })} />}
      <Medicines store={store} />
    </div>
  );
}

function Medicines({ store }: { store: CaseStore }) {
  const [name, setName] = useState("");
  const [dose, setDose] = useState("");
  const list = store.mine.medications ?? [];
  const add = () => {
    store.edit("add a medicine", (one) => { one.medications = [...(one.medications ?? []), { name: name.trim(), dose: dose.trim() }]; });
    setName("");
    setDose("");
  };
  const remove = (k: number) => {
    const gone = list[k]!;
    store.edit("remove a medicine", (one) => { one.medications = (one.medications ?? []).filter((_, other) => other !== k); });
    toast(`${gone.name} is taken off the list.`, { label: "Undo", run: () => store.undo() });
  };
  return (
    <div class="stack tight">
      <h3>Medicines</h3>
      {list.length ? <ul class="lines">{list.map((one, k) => (
        <li key={k}>{one.name}{one.dose ? `, ${one.dose}` : ""} <button class="plain" onClick={() => remove(k)} aria-label={`Remove ${one.name}`}>Remove</button></li>
      ))}</ul> : <p class="muted small">None entered. Say above whether the list is complete.</p>}
      <div class="fields">
        <TextField label="Medicine" value={name} onChange={setName} />
        <TextField label="Dose as written" value={dose} onChange={setDose} />
      </div>
      <div class="row"><button disabled={!name.trim()} onClick={add}>Add the medicine</button></div>
    </div>
  );
}

export function TargetPanel({ store }: { store: CaseStore }) {
  const { catalogue } = useWorld();
  const { target } = store.mine;
  const nerves: Option[] = [...catalogue.nerves, ...catalogue.targets.filter((one) => !catalogue.nerves.some((nerve) => nerve.id === one.id))].map((one) => ({ value: one.id, label: one.title }));
  const set = (key: string) => (value: unknown) => store.edit(`target ${plain(key)}`, (one) => { if (one.target) (one.target as Record<string, unknown>)[key] = value === "" ? null : value; });
  const choose = (nerve: string) => store.edit("target", (one) => {
    const known = catalogue.nerves.find((other) => other.id === nerve);
    one.target = nerve ? { nerve, side: one.target?.side ?? "left", bony_level: known?.bony_level ?? null, joint: known?.joints?.[0] ?? null } : null;
  });
  return (
    <Panel title="Condition and target" note="Side and level stand at the top of every page. A level is named by bone and by joint, so that a wrong one cannot hide.">
      <div class="stack">
        <div class="fields">
          <div class="wide"><SelectField label="Painful condition" empty="not chosen" value={store.mine.condition ?? ""} options={catalogue.conditions.map((one) => ({ value: one.id, label: one.title }))} onChange={(value) => store.edit("condition", (one) => { one.condition = value || null; })} /></div>
          <SelectField label="Target" empty="not chosen" value={target?.nerve ?? ""} options={nerves} onChange={choose} />
        </div>
        {target && (
          <>
            <Choices legend="Side" value={target.side} options={SIDES} onChange={(value) => set("side")(value as Side)} />
            <div class="fields">
              <TextField label="Bony level" value={target.bony_level ?? ""} onChange={set("bony_level")} />
              <TextField label="Joint" value={target.joint ?? ""} onChange={set("joint")} />
              <div class="wide"><TextField label="How the level was counted" value={target.level_counted ?? ""} onChange={set("level_counted")} /></div>
            </div>
            <YesNo label="Transitional vertebra" value={target.transitional_vertebra} onChange={set("transitional_vertebra")} />
          </>
        )}
      </div>
    </Panel>
  );
}
