// Step 5: may the patient go, how the pain fares, what to watch, and when it comes back.
import { casePath } from "../model/api.ts";
import { useDocument } from "../model/document.ts";
import { capital, day, figure, moment, plain, today } from "../model/words.ts";
import { useStore, useWorld, type TabProps } from "../pages/context.ts";
import { LineChart } from "../parts/chart.tsx";
import { Citations, Source } from "../parts/source.tsx";
import { toast } from "../parts/toast.tsx";
import { Choices, Empty, NumberField, Panel, SelectField, Tag, TextField, Trouble, useData, waiting } from "../parts/ui.tsx";
import { publishedWords, type Published } from "./published.ts";
import type { Room } from "./room.ts";

interface Line {
  id: string;
  text: string;
  source: string;
  within?: string;
}

interface Aftercare {
  technique: string;
  target: string;
  performed: string | null;
  watch: Line[];
  alarms: { minutes: number; level: string; text: string; found: string; source: string }[];
  alarm_note: string;
  recovery: { scale: string; title: string; total: number | null; ready_at: number; maximum: number; ready: boolean | null; missing: string[]; note: string }[];
  may_leave_recovery: boolean | null;
  may_go_home: boolean | null;
  home_needs: string[];
  instructions: Line[];
  red_flags: Line[];
  follow_up: { id: string; title: string; how: string; what: string; date_from: string | null; date_to: string | null; source: string }[];
  course: { days: number; baseline_pain: number | null; last_pain: number | null; best_relief_percent: number | null; relief_percent: number | null; returned: boolean | null; returned_on: string | null; text: string } | null;
  complications: { name: string; onset: string | null; ctcae: string | null; clavien_dindo: string | null; needs: string[] }[];
  regrowth: null | { applies: boolean; reason: string; earliest_months: number[] | null; published: Published[] };
  repeat: { text: string; rows: string[] } | null;
  remarks: string[];
  citations: Record<string, string>;
}

interface Outcome {
  schema_version: 1;
  case_id: string;
  procedure?: { modality: string; target: string; side: string; performed: string; sedation?: string; baseline_pain?: number | null; baseline_systolic_mmhg?: number | null } | null;
  vital_signs?: { minutes: number; systolic_mmhg?: number | null; heart_rate_per_min?: number | null; oxygen_saturation_percent?: number | null; temperature_c?: number | null }[];
  recovery?: { minutes: number; scale: string; items: Record<string, number | null> }[];
  diary?: { day: string; pain?: number | null; function?: number | null; note?: string }[];
  complications?: { name: string; onset?: string | null; treatment?: string | null }[];
  discharged?: string | null;
  clinician?: string;
  [more: string]: unknown;
}

type Edit = (change: (outcome: Outcome) => void) => void;

export function FollowUp({ store, work }: TabProps) {
  useStore(store);
  const id = store.loaded.id;
  const { doc, error } = useDocument<Outcome>(store, "outcome", { schema_version: 1, case_id: id });
  const data = useData<Aftercare>(casePath(id, "aftercare"), `${store.loaded.version}/${work.stamp}/${doc?.version ?? 0}`);
  if (error) return <Trouble error={error} />;
  if (!doc) return <p class="muted" role="status">Reading the follow-up…</p>;
  const edit: Edit = (change) => doc.edit(change);
  const save = async () => {
    if (await doc.save()) { toast(`Follow-up is saved, version ${doc.version}.`); work.touched(); }
  };
  return (
    <>
      <div class="row between">
        <div><h1>Follow up</h1><p class="muted small">{doc.version ? `Version ${doc.version}, ${moment(doc.savedAt)}, ${doc.savedBy}.` : "Nothing is written yet."}</p></div>
        <div class="row">
          <a href={`${casePath(id, "aftercare/patient-sheet")}?language=en`} target="_blank" rel="noopener">Sheet for going home</a>
          <a href={`${casePath(id, "aftercare/patient-sheet")}?language=de`} target="_blank" rel="noopener">in German</a>
          <button class="main" disabled={!doc.unsaved || doc.busy} onClick={() => void save()}>Save the follow-up</button>
        </div>
      </div>
      {doc.note && <p class="notice warn" role="alert"><strong>Saved meanwhile</strong>{doc.note}</p>}
      {doc.problem && <Trouble error={doc.problem} />}
      <div class="columns">
        <div class="stack">
          <Done store={store} outcome={doc.value} edit={edit} />
          <Recovery outcome={doc.value} edit={edit} data={data.value} />
          <Diary outcome={doc.value} edit={edit} data={data.value} />
          <Harms outcome={doc.value} edit={edit} data={data.value} />
        </div>
        <div class="stack">
          {doc.unsaved && <p class="notice" role="note">What follows is worked out from the saved version. Save to bring it up to date.</p>}
          {waiting(data, "aftercare")}
          {data.value && <Citations.Provider value={data.value.citations}><Advice data={data.value} /></Citations.Provider>}
        </div>
      </div>
    </>
  );
}

function Done(props: { store: TabProps["store"]; outcome: Outcome; edit: Edit }) {
  const { catalogue } = useWorld();
  const { store, outcome, edit } = props;
  const room = useData<{ value: Room | null; version: number }>(casePath(store.loaded.id, "procedure"));
  const done = outcome.procedure;
  const given = room.value?.value?.steps?.filter((one) => one.kind === "lesion" || one.kind === "injection") ?? [];
  const first = given[0];
  const modalities = catalogue.modalities.filter((one) => !one.kind || one.kind === "treatment").map((one) => ({ value: one.id, label: one.title }));
  const take = () => edit((one) => {
    const value = room.value?.value;
    const technique = first?.technique ?? store.mine.treatment?.technique ?? "";
    one.procedure = {
      modality: one.procedure?.modality || (catalogue.modalities.find((other) => other.technique === technique)?.id ?? ""),
      target: store.mine.target?.nerve ?? "", side: first?.side ?? store.mine.target?.side ?? "left",
      performed: first?.start ?? value?.started ?? new Date().toISOString().slice(0, 19), sedation: value?.sedation ?? "none",
      baseline_pain: value?.pain_before ?? null, baseline_systolic_mmhg: value?.systolic_before_mmhg ?? null,
    };
  });
  const set = (values: Partial<NonNullable<Outcome["procedure"]>>) => edit((one) => { if (one.procedure) one.procedure = { ...one.procedure, ...values }; });
  return (
    <Panel title="What was done" note="From the procedure page: what was given, not what was planned." actions={<button onClick={take}>{done ? "Take over again" : "Take over from the procedure"}</button>}>
      {!done ? <Empty title="Nothing was taken over yet"><p>{given.length ? `${given.length} lesion or injection was written down. Take it over.` : "Write down what was given on the Procedure page first, or take over and fill in the rest here."}</p></Empty> : (
        <div class="fields">
          <SelectField label="Treatment" empty="choose" value={done.modality} options={modalities} onChange={(modality) => set({ modality })} />
          <TextField label="When" type="datetime-local" value={done.performed.slice(0, 16)} onChange={(performed) => set({ performed })} />
          <NumberField label="Pain before, 0 to 10" value={done.baseline_pain ?? null} min={0} max={10} onChange={(baseline_pain) => set({ baseline_pain })} />
          <NumberField label="Systolic pressure before" unit="mmHg" value={done.baseline_systolic_mmhg ?? null} onChange={(baseline_systolic_mmhg) => set({ baseline_systolic_mmhg })} />
          <div class="field"><span class="label">Target, side</span><span>{capital(plain(done.target))}, {done.side}</span></div>
        </div>
      )}
    </Panel>
  );
}

function minutesSince(outcome: Outcome): number {
  const start = outcome.procedure?.performed ? new Date(outcome.procedure.performed).getTime() : NaN;
  const passed = Math.round((Date.now() - start) / 60000);
  return Number.isFinite(passed) && passed >= 0 && passed < 2880 ? passed : 0;
}

function Recovery(props: { outcome: Outcome; edit: Edit; data: Aftercare | null }) {
  const { catalogue } = useWorld();
  const { outcome, edit, data } = props;
  const checks = outcome.recovery ?? [];
  const add = (scale: string) => edit((one) => { one.recovery = [...(one.recovery ?? []), { minutes: minutesSince(one), scale, items: {} }]; });
  const set = (k: number, item: string, points: number) => edit((one) => { one.recovery = (one.recovery ?? []).map((other, n) => (n === k ? { ...other, items: { ...other.items, [item]: points } } : other)); });
  const remove = (k: number) => {
    edit((one) => { one.recovery = (one.recovery ?? []).filter((_, n) => n !== k); });
    toast("The check is removed.", { label: "Undo", run: () => edit((one) => { one.recovery = checks; }) });
  };
  const signs = outcome.vital_signs ?? [];
  const sign = (k: number, values: object) => edit((one) => { one.vital_signs = (one.vital_signs ?? []).map((other, n) => (n === k ? { ...other, ...values } : other)); });
  const leave = data?.may_leave_recovery;
  const home = data?.may_go_home;
  const yes = (value: boolean | null | undefined) => (value === true ? "Yes" : value === false ? "No" : "Cannot say");
  return (
    <Panel title="Recovery" actions={Object.entries(catalogue.recovery_scales).map(([name, scale]) => <button key={name} onClick={() => add(name)}>{scale.title.replace(/ \(.*\)/, "")}</button>)}>
      <div class="stack">
        <div class="headlines">
          <div class={`headline ${leave ? "good" : leave === false ? "stop" : ""}`}><span class="small muted">May leave recovery</span><span class="big">{yes(leave)}</span></div>
          <div class={`headline ${home ? "good" : home === false ? "stop" : ""}`}><span class="small muted">May go home</span><span class="big">{yes(home)}</span>{data?.home_needs.map((one) => <span class="small" key={one}>Needs {one}</span>)}</div>
        </div>
        {!checks.length && <Empty title="No recovery check yet"><p>Press a scale above to score it now.</p></Empty>}
        {checks.map((check, k) => {
          const scale = catalogue.recovery_scales[check.scale];
          const total = Object.values(check.items).reduce<number>((sum, value) => sum + (value ?? 0), 0);
          const complete = scale && Object.keys(scale.items).every((item) => typeof check.items[item] === "number");
          return (
            <details key={k} open={!complete}>
              <summary>{scale?.title ?? check.scale} at {check.minutes} min: {complete ? `${total} of ${scale?.maximum ?? ""}` : "not complete"}</summary>
              <div class="stack tight">
                {Object.entries(scale?.items ?? {}).map(([item, texts]) => (
                  <Choices key={item} legend={capital(plain(item))} value={String(check.items[item] ?? "")} options={texts.map((text, points) => ({ value: String(points), label: `${points}: ${text}` }))} onChange={(value) => set(k, item, Number(value))} />
                ))}
                <div class="row"><button class="plain" onClick={() => remove(k)}>Remove this check</button></div>
              </div>
            </details>
          );
        })}
        <h3>Vital signs</h3>
        {signs.map((one, k) => (
          <div class="fields" key={k}>
            <NumberField label="After" unit="min" value={one.minutes} onChange={(value) => value !== null && sign(k, { minutes: value })} />
            <NumberField label="Systolic" unit="mmHg" value={one.systolic_mmhg ?? null} onChange={(value) => sign(k, { systolic_mmhg: value })} />
            <NumberField label="Heart rate" unit="/min" value={one.heart_rate_per_min ?? null} onChange={(value) => sign(k, { heart_rate_per_min: value })} />
            <NumberField label="Oxygen" unit="%" value={one.oxygen_saturation_percent ?? null} onChange={(value) => sign(k, { oxygen_saturation_percent: value })} />
          </div>
        ))}
        <div class="row"><button onClick={() => edit((one) => { const last = one.vital_signs?.at(-1)?.minutes ?? -1; one.vital_signs = [...(one.vital_signs ?? []), { minutes: Math.max(last + 5, minutesSince(one)) }]; })}>Add a reading</button></div>
        {data?.alarms.map((one, k) => <p class={`notice ${one.level === "alarm" ? "stop" : "warn"}`} key={k}><strong>At {one.minutes} min</strong>{one.text} Found: {one.found}.</p>)}
        {data?.alarm_note && <p class="small muted">{data.alarm_note}</p>}
        <TextField label="Discharged" type="datetime-local" value={(outcome.discharged ?? "").slice(0, 16)} onChange={(value) => edit((one) => { one.discharged = value || null; })} />
      </div>
    </Panel>
  );
}

function Diary(props: { outcome: Outcome; edit: Edit; data: Aftercare | null }) {
  const { outcome, edit, data } = props;
  const diary = [...(outcome.diary ?? [])].sort((a, b) => (a.day < b.day ? -1 : 1));
  const start = outcome.procedure?.performed?.slice(0, 10);
  const dayOf = (text: string) => (start ? Math.round((Date.parse(text) - Date.parse(start)) / 86400000) : diary.findIndex((one) => one.day === text));
  const put = (date: string, values: object) => edit((one) => {
    const list = [...(one.diary ?? [])];
    const at = list.findIndex((other) => other.day === date);
    if (at >= 0) list[at] = { ...list[at]!, ...values }; else list.push({ day: date, ...values });
    one.diary = list.sort((a, b) => (a.day < b.day ? -1 : 1));
  });
  const remove = (date: string) => {
    const before = outcome.diary ?? [];
    edit((one) => { one.diary = (one.diary ?? []).filter((other) => other.day !== date); });
    toast("The day is removed.", { label: "Undo", run: () => edit((one) => { one.diary = before; }) });
  };
  const baseline = outcome.procedure?.baseline_pain;
  return (
    <Panel title="Diary" note="Pain 0 to 10, by the patient." actions={<button onClick={() => put(today(), {})}>Add today</button>}>
      <div class="stack">
        {diary.length ? (
          <LineChart title="Pain diary" xLabel={start ? "days after" : "entries"} yLabel="0 to 10" yMin={0} yMax={10.4} series={[
            { label: "pain", x: diary.map((one) => dayOf(one.day)), y: diary.map((one) => one.pain ?? null), dots: true },
            ...(diary.some((one) => typeof one.function === "number") ? [{ label: "function", x: diary.map((one) => dayOf(one.day)), y: diary.map((one) => one.function ?? null) }] : []),
          ]} rules={typeof baseline === "number" ? [{ value: baseline, label: `before: ${baseline}`, colour: "var(--muted)" }] : []} />
        ) : <Empty title="No diary yet"><p>Add a day. A return of pain can be judged after two weeks of entries.</p></Empty>}
        {diary.map((one) => (
          <div class="fields" key={one.day}>
            <div class="field"><span class="label">Day</span><span>{day(one.day)} <button class="plain" onClick={() => remove(one.day)} aria-label={`Remove ${one.day}`}>Remove</button></span></div>
            <NumberField label="Pain" value={one.pain ?? null} min={0} max={10} onChange={(pain) => put(one.day, { pain })} />
            <NumberField label="Function" value={one.function ?? null} min={0} max={10} onChange={(value) => put(one.day, { function: value })} />
          </div>
        ))}
        {data?.course && (
          <div class={`headline ${data.course.returned ? "warn" : ""}`}>
            <span class="small muted">Recurrence</span>
            <span class="big">{data.course.relief_percent === null ? "–" : `${figure(data.course.relief_percent, 0)} %`}</span>
            <span>less pain than before, by the last entry{data.course.best_relief_percent === null ? "" : `; ${figure(data.course.best_relief_percent, 0)} % at best`}</span>
            <span>{data.course.text}</span>
          </div>
        )}
      </div>
    </Panel>
  );
}

function Harms(props: { outcome: Outcome; edit: Edit; data: Aftercare | null }) {
  const { outcome, edit, data } = props;
  const list = outcome.complications ?? [];
  const set = (k: number, values: object) => edit((one) => { one.complications = (one.complications ?? []).map((other, n) => (n === k ? { ...other, ...values } : other)); });
  const treatments = ["none", "simple drugs", "other drugs", "intervention", "intervention under general anaesthesia", "intensive care, one organ", "intensive care, several organs"];
  const remove = (k: number) => {
    edit((one) => { one.complications = (one.complications ?? []).filter((_, n) => n !== k); });
    toast("The complication is removed.", { label: "Undo", run: () => edit((one) => { one.complications = list; }) });
  };
  return (
    <Panel title="Complications" actions={<button onClick={() => edit((one) => { one.complications = [...(one.complications ?? []), { name: "unnamed", onset: today() }]; })}>Add one</button>}>
      {!list.length && <p class="muted small">None reported. That nobody asked is not the same as none.</p>}
      {list.map((one, k) => (
        <fieldset class="stack tight" key={k}>
          <legend>{capital(one.name)} {data?.complications[k]?.clavien_dindo && <Tag>Clavien-Dindo {data.complications[k]?.clavien_dindo}</Tag>} {data?.complications[k]?.ctcae && <Tag>CTCAE {data.complications[k]?.ctcae}</Tag>} <button class="plain" onClick={() => remove(k)} aria-label={`Remove ${one.name}`}>Remove</button></legend>
          <div class="fields">
            <TextField label="What" value={one.name} onChange={(name) => set(k, { name })} />
            <TextField label="Since" type="date" value={one.onset ?? ""} onChange={(value) => set(k, { onset: value || null })} />
            <SelectField label="The most that was done" empty="not said" value={one.treatment ?? ""} options={treatments.map((value) => ({ value, label: value }))} onChange={(value) => set(k, { treatment: value || null })} />
          </div>
        </fieldset>
      ))}
    </Panel>
  );
}

function Lines(props: { lines: Line[] }) {
  return <ul class="lines">{props.lines.map((one) => <li key={one.id}>{one.text}{one.within ? ` (${one.within})` : ""} <div class="muted small"><Source text={one.source} /></div></li>)}</ul>;
}

function Advice({ data }: { data: Aftercare }) {
  const dated = data.follow_up.some((one) => one.date_from);
  return (
    <>
      <Panel title="Watch for"><Lines lines={data.watch} /></Panel>
      <Panel title="Instructions for home"><Lines lines={data.instructions} /></Panel>
      <Panel title="Come back at once for"><Lines lines={data.red_flags} /></Panel>
      <Panel title="Contacts planned" note={dated ? "" : "Their dates follow once the day of the procedure is written down."}>
        <div class="scroll"><table>
          <caption class="hidden">Contacts planned</caption>
          <thead><tr>{dated && <th>When</th>}<th>What</th></tr></thead>
          <tbody>{data.follow_up.map((one) => <tr key={one.id}>{dated && <td>{one.date_from ? `${day(one.date_from)}${one.date_to && one.date_to !== one.date_from ? ` to ${day(one.date_to)}` : ""}` : "not dated"}</td>}<td><strong>{one.title}</strong>, {one.how}. {one.what}</td></tr>)}</tbody>
        </table></div>
      </Panel>
      <Panel title="When it comes back">
        <div class="stack tight">
          {data.regrowth && <p>{data.regrowth.reason}</p>}
          {data.regrowth?.earliest_months && <p>Earliest by growth alone: {data.regrowth.earliest_months.map((value) => figure(value)).join(" to ")} months.</p>}
          <ul class="lines">{data.regrowth?.published.map((one) => <li key={one.row}>{publishedWords(one)}<div class="muted small"><Source text={one.source} /></div></li>)}</ul>
          {data.repeat && <p>{data.repeat.text}</p>}
          {data.repeat && data.repeat.rows.length > 0 && <ul class="lines">{data.repeat.rows.map((one) => <li key={one}>{one}</li>)}</ul>}
        </div>
      </Panel>
    </>
  );
}
