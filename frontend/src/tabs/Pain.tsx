// Where it hurts, and what the patient answered.
import { useState } from "preact/hooks";
import type { CaseStore } from "../model/store.ts";
import type { PainArea, Questionnaire, Side } from "../model/types.ts";
import { capital, today } from "../model/words.ts";
import { useWorld } from "../pages/context.ts";
import { BodyMap } from "../parts/BodyMap.tsx";
import { toast } from "../parts/toast.tsx";
import { CheckField, Choices, NumberField, Panel, SelectField, Tag, TextField } from "../parts/ui.tsx";
import { ScoresForm } from "./Scores.tsx";

const CHARACTERS = ["aching", "burning", "electric", "shooting", "stabbing", "throbbing", "tingling", "numb"];

function is(one: PainArea, area: string, side: Side | null): boolean {
  return one.area === area && (one.side ?? null) === side;
}

export function PainPanel({ store }: { store: CaseStore }) {
  const { catalogue } = useWorld();
  const [brush, setBrush] = useState<number>(6);
  const pain = store.mine.pain ?? [];
  const paint = (area: string, side: Side | null, on: boolean) => store.edit("paint the body map", (one) => {
    const rest = (one.pain ?? []).filter((other) => !is(other, area, side) && !(side === null && other.area === area));
    one.pain = on ? [...rest, { area, side, intensity: brush, character: [], main: rest.length === 0 }] : rest;
  });
  const change = (k: number, values: Partial<PainArea>) => store.edit("pain area", (one) => {
    one.pain = (one.pain ?? []).map((other, n) => (n === k ? { ...other, ...values } : values.main ? { ...other, main: false } : other));
  });
  const clear = () => {
    store.edit("clear the body map", (one) => { one.pain = []; });
    toast("The body map is clear.", { label: "Undo", run: () => store.undo() });
  };
  const title = (id: string) => catalogue.body_map.areas[id]?.title ?? id;
  return (
    <Panel title="Where it hurts" note="Press and draw over the outline. The patient's right is on the left of the front view." actions={pain.length > 0 && <button class="plain" onClick={clear}>Clear</button>}>
      <div class="stack">
        <Choices legend="Intensity to paint, 0 to 10" value={String(brush)} options={Array.from({ length: 11 }, (_, k) => ({ value: String(k), label: String(k) }))} onChange={(value) => setBrush(Number(value))} />
        <BodyMap map={catalogue.body_map} pain={pain} onPaint={paint} />
        {pain.length === 0 && <p class="muted">Nothing is painted yet: the causes cannot be ranked without it.</p>}
        {pain.map((one, k) => (
          <details key={one.area + (one.side ?? "")}>
            <summary>{capital([one.side, title(one.area)].filter(Boolean).join(" "))} <span class="muted small">{one.intensity ?? "–"} of 10{one.character?.length ? `, ${one.character.join(", ")}` : ""}</span> {one.main && <Tag kind="strong">main</Tag>}</summary>
            <div class="stack tight">
              <div class="fields">
                <NumberField label="Intensity, 0 to 10" value={one.intensity ?? null} min={0} max={10} onChange={(value) => change(k, { intensity: value })} />
                <TextField label="Since" type="date" value={one.since ?? ""} onChange={(value) => change(k, { since: value || null })} />
              </div>
              <div class="row">{CHARACTERS.map((word) => <CheckField key={word} label={word} value={one.character?.includes(word) ?? false} onChange={(on) => change(k, { character: on ? [...(one.character ?? []), word] : (one.character ?? []).filter((other) => other !== word) })} />)}</div>
              <CheckField label="The main pain" value={one.main ?? false} onChange={(main) => change(k, { main })} />
            </div>
          </details>
        ))}
      </div>
    </Panel>
  );
}

function options(item: Questionnaire["item"][number]): { value: string; label: string; points: number }[] {
  return (item.answerOption ?? []).flatMap(({ valueCoding }) => {
    if (!valueCoding) return [];
    const points = valueCoding.extension?.find((one) => one.url.endsWith("ordinalValue"))?.valueDecimal ?? Number(valueCoding.code);
    return [{ value: valueCoding.code, label: valueCoding.display, points }];
  });
}

export function QuestionnairePanel({ store }: { store: CaseStore }) {
  const { catalogue } = useWorld();
  const forms = catalogue.scales.filter((one) => catalogue.questionnaires[one.id]);
  const [chosen, setChosen] = useState(forms[0]?.id ?? "");
  const form = catalogue.questionnaires[chosen];
  const given = (store.mine.questionnaires ?? []).findLast((one) => one.questionnaire === chosen && one.answered === today());
  const older = (store.mine.questionnaires ?? []).filter((one) => one.questionnaire === chosen && one.answered !== today());
  const answer = (item: string, points: number) => store.edit(`answers of ${chosen}`, (one) => {
    const list = [...(one.questionnaires ?? [])];
    const at = list.findLastIndex((other) => other.questionnaire === chosen && other.answered === today());
    const old = at >= 0 ? list[at]! : { questionnaire: chosen, answered: today(), items: {} };
    const next = { ...old, items: { ...old.items, [item]: points } };
    if (at >= 0) list[at] = next; else list.push(next);
    one.questionnaires = list;
  });
  return (
    <Panel title="Questionnaires" note="Those whose items may be shipped are filled in here; of others the total is kept.">
      <div class="stack">
        <SelectField label="Questionnaire" value={chosen} options={forms.map((one) => ({ value: one.id, label: one.title }))} onChange={setChosen} />
        {form && (
          <div>
            {form.description && <p class="small muted">{form.description}</p>}
            {older.length > 0 && <p class="small muted">Answered before: {older.map((one) => one.answered).join(", ")}.</p>}
            {form.item.map((item) => {
              const found = options(item);
              const value = given?.items[item.linkId];
              return (
                <div class="stack tight question-block" key={item.linkId}>
                  <Choices legend={item.text} value={found.find((one) => one.points === value)?.value ?? ""} options={found} onChange={(code) => answer(item.linkId, found.find((one) => one.value === code)?.points ?? 0)} />
                </div>
              );
            })}
            {form.copyright && <p class="small muted">{form.copyright}</p>}
          </div>
        )}
        <ScoresForm store={store} />
      </div>
    </Panel>
  );
}
