// The room: time-out, what was opened, tested and given, and the check after. As it happens, not as planned.
import { casePath } from "../model/api.ts";
import { useDocument } from "../model/document.ts";
import { clock, moment } from "../model/words.ts";
import { useStore, useWorld, type TabProps } from "../pages/context.ts";
import { toast } from "../parts/toast.tsx";
import { Citations } from "../parts/source.tsx";
import { Notices, NumberField, Panel, SelectField, TextField, Trouble } from "../parts/ui.tsx";
import { GivenPanel, StimulationPanel } from "./Given.tsx";
import { AfterPanel, AgentsPanel, ViewsPanel } from "./RoomLists.tsx";
import { TimeOutPanel } from "./TimeOut.tsx";
import type { Room } from "./room.ts";

export function ProcedureTab({ store, work }: TabProps) {
  useStore(store);
  const { session } = useWorld();
  const id = store.loaded.id;
  const { doc, error } = useDocument<Room>(store, "procedure", { schema_version: 1, case_id: id });
  if (error) return <Trouble error={error} />;
  if (!doc) return <p class="muted" role="status">Reading the procedure…</p>;
  const room = doc.value;
  const edit = (change: (room: Room) => void) => doc.edit(change);
  const save = async () => {
    if (await doc.save()) { toast(`The procedure is saved, version ${doc.version}.`); work.touched(); }
  };
  return (
    <>
      <div class="row between">
        <div><h1>Procedure</h1><p class="muted small">{doc.version ? `Version ${doc.version}, ${moment(doc.savedAt)}, ${doc.savedBy}.` : "Nothing is written yet."} Follow-up goes by what stands here, not by what was planned.</p></div>
        <div class="row">
          <a href={casePath(id, "procedure/sheet")} target="_blank" rel="noopener">Room sheet for printing</a>
          {!room.started && <button onClick={() => edit((one) => { one.started = clock(); one.operator ||= session.user ?? ""; })}>Start now</button>}
          {room.started && !room.ended && <button onClick={() => edit((one) => { one.ended = clock(); })}>End now</button>}
          <button class="main" disabled={!doc.unsaved || doc.busy} onClick={() => void save()}>Save the procedure</button>
        </div>
      </div>
      {doc.note && <p class="notice warn" role="alert"><strong>Saved meanwhile</strong>{doc.note}</p>}
      {doc.problem && <Trouble error={doc.problem} />}
      {doc.notices.length > 0 && (
        <Panel title="What the rules of the room say" note={doc.unsaved ? `To the saved version ${doc.version}.` : ""}><Citations.Provider value={doc.citations}><Notices notices={doc.notices} /></Citations.Provider></Panel>
      )}
      <div class="columns">
        <div class="stack">
          <TimeOutPanel store={store} room={room} edit={edit} />
          <Panel title="Who and when">
            <div class="fields">
              <TextField label="Operator" value={room.operator ?? ""} onChange={(value) => edit((one) => { one.operator = value; })} />
              <TextField label="Assistants, separated by commas" value={(room.assistants ?? []).join(", ")} onChange={(value) => edit((one) => { one.assistants = value.split(",").map((part) => part.trimStart()).filter(Boolean); })} />
              <TextField label="Started" type="datetime-local" value={(room.started ?? "").slice(0, 16)} onChange={(value) => edit((one) => { one.started = value || null; })} />
              <TextField label="Ended" type="datetime-local" value={(room.ended ?? "").slice(0, 16)} onChange={(value) => edit((one) => { one.ended = value || null; })} />
              <SelectField label="Sedation given" empty="not said" value={room.sedation ?? ""} options={["none", "minimal", "moderate", "deep", "general"].map((value) => ({ value, label: value }))} onChange={(value) => edit((one) => { one.sedation = value || null; })} />
              <NumberField label="Pain before, 0 to 10" value={room.pain_before ?? null} min={0} max={10} onChange={(value) => edit((one) => { one.pain_before = value; })} />
              <NumberField label="Systolic pressure before" unit="mmHg" value={room.systolic_before_mmhg ?? null} onChange={(value) => edit((one) => { one.systolic_before_mmhg = value; })} />
              <NumberField label="Plan followed, number" value={room.plan_number ?? null} min={1} step={1} onChange={(value) => edit((one) => { one.plan_number = value; })} />
            </div>
          </Panel>
          <AgentsPanel room={room} edit={edit} />
        </div>
        <div class="stack">
          <StimulationPanel room={room} edit={edit} />
          <GivenPanel store={store} room={room} edit={edit} />
          <ViewsPanel room={room} edit={edit} />
          <AfterPanel room={room} edit={edit} />
        </div>
      </div>
    </>
  );
}
