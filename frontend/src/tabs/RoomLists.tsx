// Vials opened, views kept, radiation, the abort, and the check after.
import { capital, today } from "../model/words.ts";
import { toast } from "../parts/toast.tsx";
import { CheckField, Empty, NumberField, Panel, SelectField, TextField } from "../parts/ui.tsx";
import { now, type Room, type RoomProps } from "./room.ts";

const options = (values: string[]) => values.map((value) => ({ value, label: capital(value) }));
const PURPOSES = ["local anaesthetic", "neurolytic", "contrast", "steroid", "saline", "sedative", "other"];

type ListKey = "agents" | "views" | "checks";

function remover(room: Room, edit: RoomProps["edit"], key: ListKey, what: string) {
  return (k: number) => {
    const before = room[key];
    edit((one) => { (one[key] as unknown[]) = (one[key] ?? []).filter((_, n) => n !== k); });
    toast(`${what} is removed.`, { label: "Undo", run: () => edit((one) => { (one[key] as unknown) = before; }) });
  };
}

function setter<K extends ListKey>(edit: RoomProps["edit"], key: K) {
  return (k: number, values: object) => edit((one) => { (one[key] as object[]) = (one[key] ?? []).map((other, n) => (n === k ? { ...other, ...values } : other)); });
}

export function AgentsPanel({ room, edit }: RoomProps) {
  const set = setter(edit, "agents");
  const remove = remover(room, edit, "agents", "The vial");
  const list = room.agents ?? [];
  return (
    <Panel title="Agents opened" note="With lot and expiry." actions={<button onClick={() => edit((one) => { one.agents = [...(one.agents ?? []), { name: "", purpose: "local anaesthetic" }]; })}>Add a vial</button>}>
      {!list.length && <Empty title="Nothing opened yet"><p>Write down each vial or ampoule with its lot and expiry as it is opened.</p></Empty>}
      {list.map((one, k) => (
        <fieldset class="stack tight" key={k}>
          <legend>{one.name || `Vial ${k + 1}`} <button class="plain" onClick={() => remove(k)} aria-label={`Remove ${one.name || `vial ${k + 1}`}`}>Remove</button></legend>
          <div class="fields">
            <TextField label="Name" value={one.name} onChange={(name) => set(k, { name })} />
            <SelectField label="For" value={one.purpose} options={options(PURPOSES)} onChange={(purpose) => set(k, { purpose })} />
            <TextField label="Strength" value={one.strength ?? ""} onChange={(strength) => set(k, { strength })} />
            <TextField label="Lot" value={one.lot ?? ""} onChange={(lot) => set(k, { lot })} />
            <TextField label="Expires" type="date" value={one.expires ?? ""} onChange={(value) => set(k, { expires: value || null })} />
            <TextField label="Checked by" value={one.checked_by ?? ""} onChange={(checked_by) => set(k, { checked_by })} />
          </div>
          {one.expires && one.expires < today() && <p class="notice stop" role="alert"><strong>Stop</strong>Expired on {one.expires}.</p>}
        </fieldset>
      ))}
    </Panel>
  );
}

export function ViewsPanel({ room, edit }: RoomProps) {
  const set = setter(edit, "views");
  const remove = remover(room, edit, "views", "The view");
  const list = room.views ?? [];
  const dose = room.radiation ?? {};
  const radiation = (key: string) => (value: number | null) => edit((one) => { one.radiation = { ...(one.radiation ?? {}), [key]: value }; });
  return (
    <Panel title="Views and radiation" actions={<button onClick={() => edit((one) => { one.views = [...(one.views ?? []), { kind: "fluoroscopy", name: "AP", time: now(), kept: true }]; })}>Add a view</button>}>
      <div class="stack">
        {!list.length && <p class="muted small">No view is written down yet.</p>}
        {list.map((one, k) => (
          <fieldset class="stack tight" key={k}>
            <legend>{capital(one.kind)} {one.name} <button class="plain" onClick={() => remove(k)} aria-label={`Remove view ${k + 1}`}>Remove</button></legend>
            <div class="fields">
              <SelectField label="Kind" value={one.kind} options={["fluoroscopy", "ultrasound", "CT", "MR"].map((value) => ({ value, label: value }))} onChange={(kind) => set(k, { kind })} />
              <TextField label="View" value={one.name} onChange={(name) => set(k, { name })} />
              {one.kind === "fluoroscopy" && <NumberField label="LAO (RAO minus)" unit="°" value={one.lao_deg ?? null} onChange={(value) => set(k, { lao_deg: value })} />}
              {one.kind === "fluoroscopy" && <NumberField label="Cranial (caudal minus)" unit="°" value={one.cranial_deg ?? null} onChange={(value) => set(k, { cranial_deg: value })} />}
              <TextField label="Shows" value={one.shows ?? ""} onChange={(shows) => set(k, { shows })} />
            </div>
            <CheckField label="Image kept" value={one.kept ?? false} onChange={(kept) => set(k, { kept })} />
          </fieldset>
        ))}
        <div class="fields">
          <NumberField label="Fluoroscopy time" unit="s" value={dose.fluoroscopy_s ?? null} onChange={radiation("fluoroscopy_s")} />
          <NumberField label="Dose area product" unit="Gy cm²" value={dose.dose_area_product_gy_cm2 ?? null} onChange={radiation("dose_area_product_gy_cm2")} />
          <NumberField label="Air kerma" unit="mGy" value={dose.air_kerma_mgy ?? null} onChange={radiation("air_kerma_mgy")} />
        </div>
      </div>
    </Panel>
  );
}

export function AfterPanel({ room, edit }: RoomProps) {
  const set = setter(edit, "checks");
  const remove = remover(room, edit, "checks", "The check");
  const list = room.checks ?? [];
  const abort = (values: object | null) => edit((one) => { one.abort = values && { time: now(), reason: "", ...(one.abort ?? {}), ...values }; });
  return (
    <Panel title="Check after, abort, signature" actions={<button onClick={() => edit((one) => { one.checks = [...(one.checks ?? []), { time: now() }]; })}>Add a check</button>}>
      <div class="stack">
        {!list.length && <Empty title="No neurological check yet"><p>Strength, feeling and bladder compared with before, at least once before the patient leaves.</p></Empty>}
        {list.map((one, k) => (
          <fieldset class="stack tight" key={k}>
            <legend>Check at {one.time.slice(11, 16)} <button class="plain" onClick={() => remove(k)} aria-label={`Remove check ${k + 1}`}>Remove</button></legend>
            <div class="fields">
              <SelectField label="Strength" empty="not examined" value={one.strength ?? ""} options={options(["as before", "weaker"])} onChange={(value) => set(k, { strength: value || null })} />
              <SelectField label="Feeling" empty="not examined" value={one.feeling ?? ""} options={options(["as before", "as intended", "new loss"])} onChange={(value) => set(k, { feeling: value || null })} />
              <SelectField label="Bladder" empty="not examined" value={one.bladder ?? ""} options={options(["as before", "new trouble"])} onChange={(value) => set(k, { bladder: value || null })} />
              <TextField label="Examined by" value={one.examined_by ?? ""} onChange={(examined_by) => set(k, { examined_by })} />
            </div>
            {(one.strength === "weaker" || one.feeling === "new loss" || one.bladder === "new trouble") && <p class="notice stop" role="alert"><strong>Stop</strong>Something is lost that was not meant to be. Tell the operator now.</p>}
          </fieldset>
        ))}
        <CheckField label="The whole procedure was stopped before its end" value={Boolean(room.abort)} onChange={(on) => abort(on ? {} : null)} />
        {room.abort && (
          <div class="fields">
            <TextField label="Reason (needed)" value={room.abort.reason} onChange={(reason) => abort({ reason })} />
            <TextField label="Decided by" value={room.abort.decided_by ?? ""} onChange={(decided_by) => abort({ decided_by })} />
          </div>
        )}
        <TextField label="Remarks" long value={room.remarks ?? ""} onChange={(value) => edit((one) => { one.remarks = value; })} />
        <TextField label="Signed by" value={room.signed_by ?? ""} onChange={(value) => edit((one) => { one.signed_by = value; })} />
      </div>
    </Panel>
  );
}
