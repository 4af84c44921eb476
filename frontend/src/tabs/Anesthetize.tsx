// Step 3: how much local anaesthetic, what it numbs, and the cards for the room.
import { casePath } from "../model/api.ts";
import type { Injection } from "../model/types.ts";
import { capital, figure, percent, plain, significant } from "../model/words.ts";
import { useStore, useWorld, type TabProps } from "../pages/context.ts";
import { LineChart, type Series } from "../parts/chart.tsx";
import { Citations, Sources } from "../parts/source.tsx";
import { toast } from "../parts/toast.tsx";
import { Empty, Notices, NumberField, Panel, SelectField, Swatch, Tag, TextField, useData, waiting, YesNo } from "../parts/ui.tsx";
import type { Notice } from "../model/types.ts";

interface Spread {
  median: number;
  p5: number;
  p95: number;
}

interface Level {
  agent: string;
  cmax_mg_per_l: Spread;
  tmax_min: Spread;
  time_min: number[];
  curve_median: number[];
  curve_p5: number[];
  curve_p95: number[];
  population: string;
  notes: string[];
}

interface Card {
  id: string;
  title: string;
  when: string;
  signs: { text: string; source: string }[];
  actions: { text: string; source: string }[];
  doses: string[];
  avoid: { text: string; source: string }[];
}

interface Anesthesia {
  answer: string;
  dose: {
    answer: string; weight_used_kg: number | null; weight_text: string; total_mg: Record<string, number>; cap_share: number | null; toxic_share: number | null; toxic_text: string[];
    caps: { agent: string; who: string; limit_mg: number | null; reduced_mg: number | null; given_mg: number; share: number | null; governs: boolean; text: string; sources: string[] }[];
    modifiers: { name: string; text: string; factor: number | null; applies: boolean | null; source: string }[];
    levels: Level[]; needs: string[];
  };
  block: { timing: { text: string; ready: boolean | null; lasts: boolean | null }[]; nerve: { text: string } | null; track: { text: string } | null; motor_test: string; fibres: string };
  notices: Notice[];
  needs: string[];
  cards: Card[];
  citations: Record<string, string>;
}

const PURPOSES = ["skin", "track", "target", "with the agent", "diagnostic block", "other"];
const SEDATIONS = ["none", "minimal", "moderate", "deep", "general"];

export function mg(one: Injection): number {
  return (one.concentration_mg_per_ml ?? 10 * (one.concentration_percent ?? 0)) * one.volume_ml;
}

export function Anesthetize({ store, work }: TabProps) {
  useStore(store);
  const data = useData<Anesthesia>(casePath(store.loaded.id, "anesthesia"), `${store.loaded.version}/${work.stamp}`);
  return (
    <>
      <h1 class="hidden">Anesthetize</h1>
      <div class="columns">
        <div class="stack"><Doses store={store} /><Plan store={store} /></div>
        <div class="stack">
          {store.unsaved && <p class="notice" role="note">Limits and curve are worked out from the saved version {store.loaded.version}. The running total beside is of what is typed. Save to bring them together.</p>}
          {waiting(data, "the anaesthesia")}
          {data.value && <Citations.Provider value={data.value.citations}><Results data={data.value} /></Citations.Provider>}
        </div>
      </div>
      {data.value && data.value.cards.length > 0 && (
        <Panel title="Cards for the room" note="What to do when it goes wrong." actions={<a href={`${casePath(store.loaded.id, "anesthesia")}?format=html`} target="_blank" rel="noopener">Open for printing</a>}>
          <div class="card-deck">{data.value.cards.map((one) => <RoomCard card={one} key={one.id} />)}</div>
        </Panel>
      )}
    </>
  );
}

function Doses({ store }: Pick<TabProps, "store">) {
  const { catalogue } = useWorld();
  const injections = store.mine.anaesthesia?.injections ?? [];
  const change = (label: string, work: (list: Injection[]) => Injection[]) => store.edit(label, (one) => {
    one.anaesthesia = { ...(one.anaesthesia ?? {}), injections: work(one.anaesthesia?.injections ?? []) };
  });
  const set = (k: number, values: Partial<Injection>) => change("injection", (list) => list.map((one, n) => {
    if (n !== k) return one;
    const next = { ...one, ...values };
    return next.dose_mg === null || next.dose_mg === undefined ? next : { ...next, dose_mg: Math.round(100 * mg(next)) / 100 };
  }));
  const add = () => change("add an injection", (list) => [...list, { agent: catalogue.agents[0]?.id ?? "", concentration_percent: 1, volume_ml: 1, purpose: list.length ? "track" : "skin", site: catalogue.absorption_sites.find((one) => one.id === "infiltration")?.id ?? catalogue.absorption_sites[0]?.id ?? "", minutes: 0 }]);
  const remove = (k: number) => {
    change("remove an injection", (list) => list.filter((_, n) => n !== k));
    toast("The injection is removed.", { label: "Undo", run: () => store.undo() });
  };
  const totals = new Map<string, number>();
  for (const one of injections) totals.set(one.agent, (totals.get(one.agent) ?? 0) + mg(one));
  return (
    <Panel title="Injections" actions={<button onClick={add}>Add an injection</button>}>
      {!injections.length && <Empty title="No injection is planned"><p>Add each one: skin, track, target. Earlier doses of the day belong here too, with negative minutes.</p></Empty>}
      <div class="stack">
        {injections.map((one, k) => (
          <fieldset class="stack tight" key={k}>
            <legend>{capital(one.purpose)}: {significant(mg(one))} mg <button class="plain" onClick={() => remove(k)} aria-label={`Remove the injection ${one.purpose}`}>Remove</button></legend>
            <div class="fields">
              <SelectField label="Agent" value={one.agent} options={catalogue.agents.map((agent) => ({ value: agent.id, label: agent.title }))} onChange={(agent) => set(k, { agent })} />
              <NumberField label="Strength" unit="%" value={one.concentration_percent ?? (one.concentration_mg_per_ml ?? 0) / 10} min={0} max={10} onChange={(value) => value !== null && set(k, { concentration_percent: value, concentration_mg_per_ml: null })} />
              <NumberField label="Volume" unit="mL" value={one.volume_ml} min={0} max={200} onChange={(value) => value !== null && set(k, { volume_ml: value })} />
              <SelectField label="For" value={one.purpose} options={PURPOSES.map((value) => ({ value, label: value }))} onChange={(purpose) => set(k, { purpose })} />
              <SelectField label="Site of uptake" value={one.site} options={catalogue.absorption_sites.map((site) => ({ value: site.id, label: site.title }))} onChange={(site) => set(k, { site })} />
              <NumberField label="Adrenaline" unit="µg/mL" value={one.epinephrine_mcg_per_ml ?? null} min={0} max={100} onChange={(value) => set(k, { epinephrine_mcg_per_ml: value })} />
              <NumberField label="At" unit="min" value={one.minutes ?? 0} onChange={(value) => value !== null && set(k, { minutes: value })} />
            </div>
          </fieldset>
        ))}
        {injections.length > 0 && <div class="headline"><span class="small muted">Running total, as typed</span><span class="big">{[...totals].map(([agent, total]) => `${significant(total)} mg ${agent}`).join(" + ")}</span></div>}
      </div>
    </Panel>
  );
}

function Plan({ store }: Pick<TabProps, "store">) {
  const plan = store.mine.anaesthesia ?? {};
  const set = (key: string) => (value: unknown) => store.edit(plain(key), (one) => { one.anaesthesia = { ...(one.anaesthesia ?? {}), [key]: value }; });
  return (
    <Panel title="Around it">
      <div class="stack">
        <div class="fields">
          <SelectField label="Sedation" empty="not decided" value={plan.sedation ?? ""} options={SEDATIONS.map((value) => ({ value, label: value }))} onChange={(value) => set("sedation")(value || null)} />
          <NumberField label="The painful part starts at" unit="min" value={plan.lesion_minutes ?? null} onChange={set("lesion_minutes")} />
          <NumberField label="and lasts" unit="min" value={plan.lesion_lasts_min ?? null} onChange={set("lesion_lasts_min")} />
          <TextField label="Order" hint="stimulation, anaesthetic, lesion: in the order planned" value={(plan.order ?? []).join(", ")} onChange={(value) => set("order")(value.split(",").map((one) => one.trim()).filter((one) => ["stimulation", "anaesthetic", "lesion"].includes(one)))} />
        </div>
        <div class="row">
          <YesNo label="Nerve stimulation" value={plan.stimulation} onChange={set("stimulation")} />
          <YesNo label="Escort home" value={plan.escort_arranged} onChange={set("escort_arranged")} />
          <YesNo label="Fasting confirmed" value={plan.fasting_confirmed} onChange={set("fasting_confirmed")} />
          <YesNo label="Intravenous access" value={plan.intravenous_access} onChange={set("intravenous_access")} />
        </div>
      </div>
    </Panel>
  );
}

function Results({ data }: { data: Anesthesia }) {
  const { dose } = data;
  const share = dose.cap_share;
  return (
    <>
      <div class="headlines">
        <div class={`headline ${dose.answer === "within every limit" ? "good" : dose.answer === "cannot say" ? "warn" : "stop"}`}>
          <span class="small muted">Dose</span><span class="big">{share === null ? "–" : percent(share)}</span>
          <span>of the tightest limit; {dose.answer}</span><span class="small muted">{dose.weight_text}</span>
        </div>
        <div class="headline"><span class="small muted">Anaesthesia as a whole</span><span class="big">{capital(data.answer)}</span>{dose.toxic_text.map((one) => <span class="small muted" key={one}>{one}</span>)}</div>
      </div>
      <Notices notices={data.notices} />
      {data.needs.length > 0 && <div class="notice warn"><strong>Missing</strong>{data.needs.join("; ")}.</div>}
      {dose.caps.length > 0 && (
        <Panel title="Limits of the dose">
          <div class="scroll"><table>
            <caption class="hidden">Limits of the dose</caption>
            <thead><tr><th>Agent, who says so</th><th class="number">Given, mg</th><th class="number">Limit, mg</th><th class="number">Share</th></tr></thead>
            <tbody>{dose.caps.map((one, k) => (
              <tr key={k}><td>{capital(one.agent)}, {one.who} {one.governs && <Tag kind="strong">governs</Tag>}<div class="small muted">{one.text}</div><Sources ids={one.sources} /></td><td class="number">{significant(one.given_mg)}</td><td class="number">{significant(one.reduced_mg ?? one.limit_mg)}</td><td class="number">{percent(one.share)}</td></tr>
            ))}</tbody>
          </table></div>
          {dose.modifiers.length > 0 && <details><summary>What changes the limit ({dose.modifiers.filter((one) => one.applies).length} apply)</summary><ul class="lines">{dose.modifiers.map((one) => <li key={one.name}>{one.text} {one.applies ? <Tag kind="bad">applies</Tag> : one.applies === null ? <Tag>not known</Tag> : <Tag>does not apply</Tag>}</li>)}</ul></details>}
        </Panel>
      )}
      {dose.levels.map((one) => (
        <Panel key={one.agent} title={`Plasma level, ${one.agent}`} note={`${one.population}; the band holds nine in ten. Virtual people, not this patient.`}>
          <LineChart title={`Plasma level of ${one.agent}`} xLabel="minutes" yLabel="mg/L, total" series={[shownPart(one)]} rules={toxicRule(dose.toxic_text, one.agent)} />
          <p class="small">Peak {figure(one.cmax_mg_per_l.median, 2)} ({figure(one.cmax_mg_per_l.p5, 2)} to {figure(one.cmax_mg_per_l.p95, 2)}) mg/L, at {figure(one.tmax_min.median, 0)} ({figure(one.tmax_min.p5, 0)} to {figure(one.tmax_min.p95, 0)}) min. <Swatch colour="var(--danger)" /> toxic from.</p>
        </Panel>
      ))}
      <Panel title="What is numbed, and when">
        <ul class="lines">
          {[data.block.track?.text, data.block.nerve?.text, ...data.block.timing.map((one) => one.text)].filter(Boolean).map((text) => <li key={text}>{text}</li>)}
          <li>Motor test under it: {data.block.motor_test}</li>
        </ul>
      </Panel>
    </>
  );
}

/** The curve up to where little of it is left: the rest is a flat line. */
function shownPart(one: Level): Series {
  const peak = Math.max(...one.curve_p95);
  const last = one.curve_p95.findLastIndex((value) => value > 0.1 * peak);
  const end = Math.min(one.time_min.length, last + 2);
  return { label: one.agent, x: one.time_min.slice(0, end), y: one.curve_median.slice(0, end), low: one.curve_p5.slice(0, end), high: one.curve_p95.slice(0, end) };
}

function toxicRule(texts: string[], agent: string): { value: number; label: string }[] {
  const found = texts.find((one) => one.startsWith(agent))?.match(/toxic from ([\d.]+) mg\/L/);
  return found ? [{ value: Number(found[1]), label: `toxic from ${found[1]} mg/L` }] : [];
}

function RoomCard({ card }: { card: Card }) {
  return (
    <article class="room-card">
      <h3>{card.title}</h3>
      {card.signs.length > 0 && <div><strong>Signs</strong><ul class="lines">{card.signs.map((one, k) => <li key={k}>{one.text}</li>)}</ul></div>}
      {card.actions.length > 0 && <div><strong>Do</strong><ol class="lines">{card.actions.map((one, k) => <li key={k}>{one.text}</li>)}</ol></div>}
      {card.doses.length > 0 && <div><strong>Doses</strong><ul class="lines">{card.doses.map((one, k) => <li key={k}>{one}</li>)}</ul></div>}
      {card.avoid.length > 0 && <p><strong>Avoid:</strong> {card.avoid.map((one) => one.text).join(" ")}</p>}
    </article>
  );
}
