// Step 1: who the patient is, where it hurts, what was found; and what follows from it.
import { casePath } from "../model/api.ts";
import type { TabProps } from "../pages/context.ts";
import { useStore, useWorld } from "../pages/context.ts";
import { capital, plain } from "../model/words.ts";
import { Reasons, type Reason } from "../parts/rules.tsx";
import { Citations } from "../parts/source.tsx";
import { Empty, Panel, Tag, useData, waiting } from "../parts/ui.tsx";
import { BlocksPanel } from "./Blocks.tsx";
import { ConsentPanel } from "./Consent.tsx";
import { PersonPanel, TargetPanel } from "./Facts.tsx";
import { FindingsPanel, type Asked } from "./Findings.tsx";
import { PainPanel, QuestionnairePanel } from "./Pain.tsx";

interface Evaluation {
  stopped: boolean;
  out_of_scope: Reason[];
  red_flags: { id: string; message: string; state: "open" | "resolved" | "indication"; resolution: string; source: string }[];
  scores: { instrument: string; title: string; total: number | null; minimum: number; maximum: number; band: string; reading: string; missing_items: string[]; problem: string }[];
  blocks: { target: string; side: string; performed: string; kind: string; relief_percent: number | null; reads: string; source: string }[];
  causes: { condition: string; targets: string[]; reasons: Reason[]; weight_for: number; weight_against: number; rank: number; asked: string[] }[];
  suitability: { technique: string; target: string; verdict: string; rules: Reason[]; needs: string[]; evidence?: string }[];
  disagreements: { about: string; statements: string[] }[];
  citations: Record<string, string>;
  missing: string[];
  remarks: string[];
}

export function Evaluate({ store, work }: TabProps) {
  useStore(store);
  const data = useData<Evaluation>(casePath(store.loaded.id, "evaluation"), `${store.loaded.version}/${work.stamp}`);
  return (
    <>
      <h1 class="hidden">Evaluate</h1>
      <div class="columns">
        <div class="stack">
          <PersonPanel store={store} />
          <TargetPanel store={store} />
          <PainPanel store={store} />
          <QuestionnairePanel store={store} />
          <FindingsPanel store={store} asked={askedIn(data.value)} />
        </div>
        <div class="stack">
          {store.unsaved && <p class="notice" role="note">What follows is worked out from the saved version {store.loaded.version}. Save to bring it up to date.</p>}
          {waiting(data, "the evaluation")}
          {data.value && <Citations.Provider value={data.value.citations}><Results data={data.value} /></Citations.Provider>}
          <Citations.Provider value={data.value?.citations ?? {}}><BlocksPanel store={store} readings={data.value?.blocks ?? []} /></Citations.Provider>
          <ConsentPanel store={store} work={work} />
        </div>
      </div>
    </>
  );
}

/** Causes in their rank; then what red flags and suitability lack. */
function askedIn(data: Evaluation | null): Asked {
  if (!data) return { causes: [], others: [] };
  const ranked = [...data.causes].sort((a, b) => a.rank - b.rank);
  return { causes: ranked.flatMap((one) => one.asked), others: [...data.missing, ...data.suitability.flatMap((one) => one.needs)] };
}

/** Only an open flag stops: one that was set aside says by what. */
function flagReason(one: Evaluation["red_flags"][number]): Reason {
  const message = one.state === "resolved" ? `${one.message} Set aside by ${one.resolution}` : one.message;
  return { id: one.id, message, severity: one.state === "open" ? "stop" : "condition", source: one.source };
}

function Results({ data }: { data: Evaluation }) {
  const { catalogue } = useWorld();
  const condition = (id: string) => catalogue.conditions.find((one) => one.id === id)?.title ?? capital(plain(id));
  const target = (id: string) => catalogue.targets.find((one) => one.id === id)?.title ?? capital(plain(id));
  const modality = (id: string) => catalogue.modalities.find((one) => one.id === id)?.title ?? capital(plain(id));
  const most = Math.max(1, ...data.causes.map((one) => one.weight_for + one.weight_against));
  return (
    <>
      {(data.red_flags.length > 0 || data.out_of_scope.length > 0) && (
        <Panel title="Red flags" note="Look into these before anything else.">
          <Reasons reasons={[...data.out_of_scope, ...data.red_flags.map(flagReason)]} />
        </Panel>
      )}
      {data.disagreements.length > 0 && (
        <Panel title="Findings that differ"><ul class="lines">{data.disagreements.map((one) => <li key={one.about}>{capital(one.about)}: {one.statements.join(" | ")}</li>)}</ul></Panel>
      )}
      <Panel title="Likely causes, ranked" note="Each reason with its source; the weight is a sum of points, not a probability.">
        {data.causes.length ? data.causes.map((one) => (
          <details key={one.condition} open={one.rank === 1}>
            <summary>{one.rank}. {condition(one.condition)} <span class="muted small">for {one.weight_for}, against {one.weight_against}</span></summary>
            <div class="stack tight">
              <div class="bar" role="img" aria-label={`${one.weight_for} points for`}><i ref={(node) => { node?.style.setProperty("--share", `${(100 * one.weight_for) / most}%`); }} /></div>
              <p class="small muted">Targets: {one.targets.map(target).join(", ") || "none listed"}</p>
              <Reasons reasons={one.reasons} />
              {one.asked.length > 0 && <p class="small">Would tell more: {one.asked.join("; ")}.</p>}
            </div>
          </details>
        )) : <Empty title="No cause can be ranked yet"><p>Paint where it hurts on the body map and answer the findings, then save.</p></Empty>}
      </Panel>
      <Panel title="Suitability" note="Per technique, with each rule's reason. What is missing stays missing: it is never taken as fine.">
        {data.suitability.length ? data.suitability.map((one) => (
          <details key={one.technique + one.target}>
            <summary>{modality(one.technique)} <span class="muted">{target(one.target)}</span> <Tag kind={one.verdict === "suitable" ? "good" : one.verdict.startsWith("not") || one.verdict === "unsuitable" ? "bad" : ""}>{one.verdict}</Tag></summary>
            <div class="stack tight">
              {one.evidence && <p class="small muted">Evidence: {one.evidence}</p>}
              <Reasons reasons={one.rules.filter((rule) => rule.severity !== "missing")} />
              {one.needs.length > 0 && <div class="notice warn"><strong>Missing</strong>{one.needs.join("; ")}.</div>}
            </div>
          </details>
        )) : <Empty title="Nothing to judge yet"><p>Choose a target, or mark findings that point to a cause.</p></Empty>}
      </Panel>
      {data.scores.length > 0 && (
        <Panel title="Scores">
          <div class="scroll"><table>
            <caption class="hidden">Questionnaire scores</caption>
            <thead><tr><th>Questionnaire</th><th class="number">Score</th><th>Reading</th></tr></thead>
            <tbody>{data.scores.map((one) => (
              <tr key={one.instrument}><td>{one.title}</td><td class="number">{one.total ?? "–"} of {one.maximum}</td><td>{one.problem || one.reading || one.band || (one.missing_items.length ? `missing: ${one.missing_items.join(", ")}` : "")}</td></tr>
            ))}</tbody>
          </table></div>
        </Panel>
      )}
      {data.missing.length > 0 && (
        <Panel title="Still missing" note="Each would change what is said above.">
          <ul class="lines">{data.missing.map((one) => <li key={one}>{capital(one)}</li>)}</ul>
        </Panel>
      )}
    </>
  );
}
