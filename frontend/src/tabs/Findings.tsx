// History, examination and imaging as named statements: what is recorded, what is asked for, and the rest.
import { useState } from "preact/hooks";
import type { CaseStore } from "../model/store.ts";
import type { Case, Finding, FindingName } from "../model/types.ts";
import { capital, plain, today } from "../model/words.ts";
import { useWorld } from "../pages/context.ts";
import { Choices, NumberField, Panel, TextField, type Option } from "../parts/ui.tsx";

const RESULTS: Option[] = [{ value: "present", label: "Present" }, { value: "absent", label: "Absent" }, { value: "unclear", label: "Unclear" }];

/** What the evaluation asks for, in its order: by the ranked causes, and by everything else. */
export interface Asked {
  causes: readonly string[];
  others: readonly string[];
}

export interface FindingGroups {
  recorded: FindingName[];
  causes: FindingName[];
  others: FindingName[];
  rest: FindingName[];
}

/** Each finding once: recorded, else asked for by a ranked cause, else by something else, else not asked. */
export function groupFindings(names: readonly FindingName[], recorded: readonly string[], asked: Asked): FindingGroups {
  const left = new Map(names.map((one) => [one.id, one]));
  const take = (found: (FindingName | undefined)[]): FindingName[] => found.filter((one): one is FindingName => one !== undefined && left.delete(one.id));
  const byQuestion = (texts: readonly string[]) => texts.map((text) => [...left.values()].find((one) => one.question && text.includes(one.question)));
  return {
    recorded: take(recorded.map((id) => left.get(id))),
    causes: take(byQuestion(asked.causes)),
    others: take(byQuestion(asked.others)),
    rest: [...left.values()],
  };
}

/** The case with one finding answered, in the place it had; an empty answer takes it out. */
export function answered(findings: readonly Finding[], id: string, result: string): Finding[] {
  if (!result) return findings.filter((one) => one.name !== id);
  if (!findings.some((one) => one.name === id)) return [...findings, { kind: "history", name: id, result, observed: today() }];
  return findings.map((one) => (one.name === id ? { ...one, result, observed: today() } : one));
}

export function FindingsPanel({ store, asked }: { store: CaseStore; asked: Asked }) {
  const { catalogue } = useWorld();
  const [all, setAll] = useState(false);
  const [query, setQuery] = useState("");
  const known = store.mine.findings ?? [];
  const names = catalogue.findings.filter((one) => !one.unit);
  // What is answered now stays in its place until it is saved: a row that moves under the hand is answered wrongly.
  const groups = groupFindings(names, (store.loaded.case.findings ?? []).map((one) => one.name), asked);
  const words = query.toLowerCase().split(/\s+/).filter(Boolean);
  const fitting = words.length ? names.filter((one) => words.every((word) => `${one.title} ${one.question ?? ""}`.toLowerCase().includes(word))) : [];
  const edit = (label: string, change: (findings: Finding[]) => Finding[]) => store.edit(label, (one: Case) => { one.findings = change(one.findings ?? []); });
  const draw = (one: FindingName) => (
    <div class="question" key={one.id}>
      <span>{capital(one.title)}</span>
      <Choices legend={one.title} hideLegend clear value={known.find((other) => other.name === one.id)?.result ?? ""} options={RESULTS} onChange={(value) => edit(`finding ${plain(one.id)}`, (list) => answered(list, one.id, value))} />
    </div>
  );
  const part = (title: string, list: FindingName[]) => list.length > 0 && <section aria-label={title}><h3>{title} <span class="muted small">{list.length}</span></h3>{list.map(draw)}</section>;
  const labs = catalogue.findings.filter((one) => one.unit);
  const lab = (id: string, unit: string, value: number | null) => edit(`value ${id}`, (list) => {
    const rest = list.filter((other) => other.name !== id);
    return value === null ? rest : [...rest, { kind: "laboratory", name: id, result: String(value), value, unit, observed: today() }];
  });
  const others = known.filter((one) => !catalogue.findings.some((name) => name.id === one.name));
  return (
    <Panel title="Findings" note={`${known.length} recorded. What is asked for now comes after them.`}>
      <div class="stack">
        <div class="row"><div class="grow"><TextField label={`Find one of ${names.length} findings`} type="search" value={query} onChange={setQuery} /></div></div>
        {words.length ? (
          <div>{fitting.map(draw)}{!fitting.length && <p class="muted">No finding has these words.</p>}</div>
        ) : (
          <>
            {part("Recorded", groups.recorded)}
            {part("The ranked causes ask for", groups.causes)}
            {part("Red flags and suitability ask for", groups.others)}
            {!groups.recorded.length && !groups.causes.length && !groups.others.length && <p class="muted">Nothing is recorded and nothing is asked for: find a finding by its words, or open the whole list.</p>}
            {groups.rest.length > 0 && <details open={all} onToggle={(event) => setAll(event.currentTarget.open)}><summary>All others ({groups.rest.length})</summary>{all && groups.rest.map(draw)}</details>}
          </>
        )}
        <details>
          <summary>Laboratory values</summary>
          <div class="fields">{labs.map((one) => <NumberField key={one.id} label={capital(one.title)} unit={one.unit ?? ""} value={known.find((other) => other.name === one.id)?.value ?? null} onChange={(value) => lab(one.id, one.unit ?? "", value)} />)}</div>
        </details>
        {others.length > 0 && <details><summary>Recorded in other words ({others.length})</summary><ul class="lines">{others.map((one, k) => <li key={k}>{one.name}: {one.result} {one.observed ?? ""}</li>)}</ul></details>}
      </div>
    </Panel>
  );
}
