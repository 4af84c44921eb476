// Totals of questionnaires whose items may not be shipped: typed in with their date, held to their range.
import { useState } from "preact/hooks";
import type { CaseStore } from "../model/store.ts";
import type { QuestionnaireInfo, Score } from "../model/types.ts";
import { day, today } from "../model/words.ts";
import { useWorld } from "../pages/context.ts";
import { toast } from "../parts/toast.tsx";
import { NumberField, SelectField, TextField } from "../parts/ui.tsx";

/** The score to keep, or what is wrong with what was typed. */
export function scoreOf(scale: QuestionnaireInfo | undefined, total: number | null, observed: string): Score | string {
  if (!scale) return "Choose the questionnaire.";
  const [minimum, maximum] = [scale.minimum ?? 0, scale.maximum ?? 0];
  if (total === null) return `Type the total, ${minimum} to ${maximum}.`;
  if (total < minimum || total > maximum) return `${total} is not a total of ${scale.title}: ${minimum} to ${maximum}.`;
  if (!observed) return "Say the day it was answered.";
  if (observed > today()) return `${day(observed)} lies ahead.`;
  return { instrument: scale.id, total, minimum, maximum, observed };
}

/** A later total of one day replaces the earlier one. */
export function withScore(scores: readonly Score[], added: Score): Score[] {
  return [...scores.filter((one) => one.instrument !== added.instrument || one.observed !== added.observed), added];
}

export function ScoresForm({ store }: { store: CaseStore }) {
  const { catalogue } = useWorld();
  const scales = catalogue.scales.filter((one) => !catalogue.questionnaires[one.id]);
  const [chosen, setChosen] = useState("");
  const [total, setTotal] = useState<number | null>(null);
  const [observed, setObserved] = useState(today());
  const scale = scales.find((one) => one.id === chosen);
  const found = scoreOf(scale, total, observed);
  const scores = store.mine.scores ?? [];
  const add = () => {
    if (typeof found === "string") return;
    store.edit(`total of ${found.instrument}`, (one) => { one.scores = withScore(one.scores ?? [], found); });
    setTotal(null);
  };
  const remove = (k: number) => {
    store.edit("remove a total", (one) => { one.scores = (one.scores ?? []).filter((_, other) => other !== k); });
    toast("The total is removed.", { label: "Undo", run: () => store.undo() });
  };
  const title = (id: string) => catalogue.scales.find((one) => one.id === id)?.title ?? id;
  const range = scale ? `${scale.minimum} to ${scale.maximum}. ${scale.licence ?? ""}` : "";
  return (
    <div class="stack tight">
      <h3>Totals from elsewhere</h3>
      <p class="small muted">The wording of these may not be shipped: score them on paper and type the total.</p>
      {scores.length > 0 && (
        <ul class="lines">{scores.map((one, k) => (
          <li key={k}>{title(one.instrument)}: {one.total} of {one.minimum} to {one.maximum}{one.observed ? `, ${day(one.observed)}` : ", no day"} <button class="plain" onClick={() => remove(k)} aria-label={`Remove the total of ${title(one.instrument)}`}>Remove</button></li>
        ))}</ul>
      )}
      <div class="fields">
        <SelectField label="Scored elsewhere" empty="choose" value={chosen} options={scales.map((one) => ({ value: one.id, label: one.title }))} hint={range} onChange={(id) => { setChosen(id); setTotal(null); }} />
        <NumberField label="Total" value={total} wrong={scale && total !== null && typeof found === "string" ? found : ""} onChange={setTotal} />
        <TextField label="Answered on" type="date" value={observed} onChange={setObserved} />
      </div>
      <div class="row"><button disabled={typeof found === "string"} onClick={add}>Add the total</button>{scale && typeof found === "string" && <span class="small muted">{found}</span>}</div>
    </div>
  );
}
