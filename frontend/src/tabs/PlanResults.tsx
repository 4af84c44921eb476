// What a simulation says: is the nerve covered, what is near, and how the treatment ran.
import colours from "palette";
import { useState } from "preact/hooks";
import type { Notice, Point } from "../model/types.ts";
import { capital, figure, percent, plain, significant } from "../model/words.ts";
import { useWorld } from "../pages/context.ts";
import { LineChart } from "../parts/chart.tsx";
import { Source, Sources } from "../parts/source.tsx";
import { Notices, Panel, SelectField, Swatch, Tag } from "../parts/ui.tsx";
import type { PlanData } from "./Deliver.tsx";

interface Limit {
  metric: string;
  unit: string;
  direction: string;
  warn: number | null;
  stop: number | null;
  source: string;
  reason: string;
}

interface Structure {
  structure: string;
  kind: string;
  review: string;
  peak_temperature_c: number | null;
  distance_to_lesion_mm: number | null;
  checks: { limit: Limit; value: number | null; verdict: string; margin: number | null; reason: string }[];
  note: string;
}

export interface NerveInjury {
  nerve: string;
  is_target: boolean;
  review: string;
  arc_mm: number[];
  points_mm: Point[];
  profiles: Record<string, (number | null)[]>;
  profile_units: Record<string, string>;
  killed_fraction: Record<string, (number | null)[]> | null;
  selectivity_note: string;
  by_criterion: { criterion: string; label: string; longest_lesioned_mm: number | null; length_p5_mm: number | null; length_p95_mm: number | null; probability_any: number | null; probability_critical: number | null }[];
  criteria_disagree: boolean;
  critical_length_mm: number | null;
  critical_length_source: string;
  coverage: string;
  coverage_reason: string;
  grade: { grade: string; rule: string };
}

export interface PlanRecord {
  mark: string;
  setting: [string, string][];
  plan: { placements: { tip_mm: Point; direction_to_hub: Point; instrument: { id: string; name: string } }[]; protocol: { technique: string } };
  stops: string[];
  notices: Notice[];
  criteria: { id: string; label: string; field: string; threshold: number; unit: string; source: string }[];
  lesions: { criterion: string; width_mm: number; length_mm: number; volume_mm3: number; distal_extent_mm: number; reaches_boundary: boolean }[];
  injury: { nerves: NerveInjury[]; structures: Structure[]; notes: string[] };
  answer: { label: string; answer: string; tone: "plain" | "good" | "warn" | "stop"; number: string; number_note: string; details: string[] } | null;
  tables: { title: string; columns: string[]; rows: (string | number | null)[][]; note: string; sources: string[] }[];
  along?: { nerve: string; arc_mm: number[]; points_mm: Point[]; series: Record<string, (number | null)[]>; units: Record<string, string>; stretches_mm: Record<string, [number, number][]> }[];
  trace: { time_s: number[]; series: Record<string, (number | null)[]>; units: Record<string, string> };
  assumptions: { where: string; number: { value: number | null; unit: string; source: string } }[];
  timing_s: Record<string, number>;
}

const WORST = ["ok", "cannot say", "warn", "stop"];

function verdictOf(one: Structure): string {
  return one.checks.reduce((worst, check) => (WORST.indexOf(check.verdict) > WORST.indexOf(worst) ? check.verdict : worst), "ok");
}

/** Some dose counts only from below: its length is "at least", and its chances cannot be said. */
export function isLowerBound(one: { label: string }): boolean {
  return one.label.includes("lower bound");
}

export function PlanResults(props: { caseId: string; data: PlanData; time: number | null; onPoint: (point: Point) => void }) {
  const { record, row, status } = props.data;
  const target = record.injury.nerves.find((one) => one.is_target) ?? record.injury.nerves[0];
  const nearest = [...record.injury.structures].filter((one) => one.distance_to_lesion_mm !== null).sort((a, b) => (a.distance_to_lesion_mm ?? 0) - (b.distance_to_lesion_mm ?? 0))[0];
  return (
    <>
      <Panel title={`Plan ${row.number}: what the simulation says`} note={`${status.mark} · case version ${row.case_version}`}>
        <div class="stack">
          {status.recheck.length > 0 && <div class="notice warn"><strong>Recheck</strong>{status.recheck.join("; ")}.</div>}
          <div class="headlines">
            {record.answer ? <Answered answer={record.answer} /> : target && <Covered nerve={target} />}
            {nearest && (
              <div class={`headline ${verdictOf(nearest) === "ok" ? "good" : verdictOf(nearest) === "stop" ? "stop" : "warn"}`}>
                <span class="small muted">Nearest danger</span>
                <span class="big">{figure(nearest.distance_to_lesion_mm)} mm</span>
                <span>{capital(nearest.structure)}, from the edge of the largest lesion</span>
                <span class="small muted">Verdict: {verdictOf(nearest)}. Outline {nearest.review}.</span>
              </div>
            )}
          </div>
          <dl class="facts">{record.setting.map(([label, value]) => <div key={label}><dt>{label}</dt><dd>{value}</dd></div>)}</dl>
        </div>
      </Panel>
      {target && <NerveStrip nerves={record.injury.nerves} criteria={record.criteria} onPoint={props.onPoint} />}
      <Along record={record} onPoint={props.onPoint} />
      {record.tables.map((one) => <ResultTable table={one} key={one.title} />)}
      {record.injury.structures.length > 0 && <Limits structures={record.injury.structures} />}
      <Trace record={record} time={props.time} />
      {record.lesions.length > 0 && <Panel title="Size of the lesion">
        <div class="scroll"><table>
          <caption class="hidden">Size of the lesion by criterion</caption>
          <thead><tr><th>Criterion</th><th class="number">Width, mm</th><th class="number">Length, mm</th><th class="number">Volume, mm³</th><th class="number">Beyond the tip, mm</th></tr></thead>
          <tbody>{record.lesions.map((one) => (
            <tr key={one.criterion}><td>{record.criteria.find((other) => other.id === one.criterion)?.label ?? one.criterion}</td><td class="number">{one.reaches_boundary ? "≥ " : ""}{figure(one.width_mm)}</td><td class="number">{figure(one.length_mm)}</td><td class="number">{figure(one.volume_mm3, 0)}</td><td class="number">{figure(one.distal_extent_mm)}</td></tr>
          ))}</tbody>
        </table></div>
      </Panel>}
      <Panel title="Everything that was noticed">
        <Notices notices={record.notices} empty="Nothing." />
        {record.assumptions.length > 0 && <details><summary>Numbers no source supports ({record.assumptions.length})</summary><ul class="lines">{record.assumptions.map((one, k) => <li key={k}>{one.where}: {one.number.value ?? "–"} {one.number.unit}. <span class="muted"><Source text={one.number.source} /></span></li>)}</ul></details>}
      </Panel>
    </>
  );
}

function Covered({ nerve }: { nerve: NerveInjury }) {
  const strict = nerve.by_criterion.find((one) => one.length_p5_mm !== null && !isLowerBound(one)) ?? nerve.by_criterion[0];
  const kind = nerve.coverage === "covered" ? "good" : nerve.coverage === "not covered" ? "stop" : "warn";
  return (
    <div class={`headline ${kind}`}>
      <span class="small muted">Is the nerve covered?</span>
      <span class="big">{capital(nerve.coverage)}</span>
      {strict && <span>{figure(strict.longest_lesioned_mm)} mm ({figure(strict.length_p5_mm)}–{figure(strict.length_p95_mm)} mm, 5th to 95th percentile) by {strict.label}</span>}
      {strict && <span class="small muted">Chance under its uncertain place: {percent(strict.probability_critical)} that {figure(nerve.critical_length_mm, 0)} mm are reached, {percent(strict.probability_any)} that some of it is.</span>}
    </div>
  );
}

/** Injury along the nerve: the field of one criterion against the length, its threshold, and the killed share. */
function NerveStrip(props: { nerves: NerveInjury[]; criteria: PlanRecord["criteria"]; onPoint: (point: Point) => void }) {
  const [name, setName] = useState(props.nerves.find((one) => one.is_target)?.nerve ?? props.nerves[0]?.nerve ?? "");
  const [id, setId] = useState(props.criteria[0]?.id ?? "");
  const nerve = props.nerves.find((one) => one.nerve === name) ?? props.nerves[0];
  const criterion = props.criteria.find((one) => one.id === id) ?? props.criteria[0];
  if (!nerve || !criterion) return null;
  const values = nerve.profiles[criterion.field] ?? [];
  const pick = (along: number) => {
    let best = 0;
    nerve.arc_mm.forEach((arc, k) => { if (Math.abs(arc - along) < Math.abs(nerve.arc_mm[best]! - along)) best = k; });
    const point = nerve.points_mm[best];
    if (point) props.onPoint(point);
  };
  const killed = Object.entries(nerve.killed_fraction ?? {});
  const numbers = values.filter((value): value is number => value !== null);
  return (
    <Panel title="Injury along the nerve" note="Press in the chart to see that place in the slices.">
      <div class="stack">
        <div class="fields broad">
          <SelectField label="Nerve" value={nerve.nerve} options={props.nerves.map((one) => ({ value: one.nerve, label: one.nerve }))} onChange={setName} />
          <SelectField label="Criterion" value={criterion.id} options={props.criteria.map((one) => ({ value: one.id, label: one.label }))} onChange={setId} />
        </div>
        <LineChart title={`${criterion.label} along ${nerve.nerve}`} xLabel="mm along the nerve" yLabel={criterion.unit} height={200} {...(numbers.length ? { yMin: Math.min(criterion.threshold, ...numbers) } : {})}
          series={[{ label: nerve.nerve, x: nerve.arc_mm, y: values, colour: colours.nerve }]} rules={[{ value: criterion.threshold, label: `${criterion.label}`, colour: colours.lesion }]} onPick={pick} />
        <Ribbon nerve={nerve} values={values} threshold={criterion.threshold} />
        {killed.length > 0 && (
          <details><summary>Killed share by fibre class</summary>
            <LineChart title="Killed share along the nerve" xLabel="mm along the nerve" yLabel="share killed" yMax={1.02} height={180} series={killed.map(([fibre, y]) => ({ label: fibre, x: nerve.arc_mm, y }))} />
            <p class="small muted">{nerve.selectivity_note}</p>
          </details>
        )}
        <div class="scroll"><table>
          <caption>Lesioned length of {nerve.nerve}, by criterion</caption>
          <thead><tr><th>Criterion</th><th class="number">Longest, mm</th><th class="number">5–95 %, mm</th><th class="number">Chance any</th><th class="number">Chance ≥ {figure(nerve.critical_length_mm, 0)} mm</th></tr></thead>
          <tbody>{nerve.by_criterion.map((one) => (
            <tr key={one.criterion}><td>{one.label}</td><td class="number">{isLowerBound(one) ? "≥ " : ""}{figure(one.longest_lesioned_mm)}</td><td class="number">{one.length_p5_mm === null || isLowerBound(one) ? "–" : `${figure(one.length_p5_mm)}–${figure(one.length_p95_mm)}`}</td><td class="number">{isLowerBound(one) ? "–" : percent(one.probability_any)}</td><td class="number">{isLowerBound(one) ? "–" : percent(one.probability_critical)}</td></tr>
          ))}</tbody>
        </table></div>
        <p class="small muted">{nerve.coverage_reason}</p>
      </div>
    </Panel>
  );
}

/** The nerve drawn straight: where it is lesioned it is hatched in the colour of the lesion. */
function Ribbon(props: { nerve: NerveInjury; values: (number | null)[]; threshold: number }) {
  const { arc_mm: arc } = props.nerve;
  const last = arc.at(-1) || 1;
  const pieces: [number, number][] = [];
  arc.forEach((place, k) => {
    const value = props.values[k];
    if (value === null || value === undefined || value < props.threshold) return;
    const next = arc[k + 1] ?? place;
    const open = pieces.at(-1);
    if (open && open[1] >= place - 1e-6) open[1] = next; else pieces.push([place, next]);
  });
  const x = (value: number) => 52 + (value / last) * (640 - 52 - 14);
  const total = pieces.reduce((sum, [a, b]) => sum + b - a, 0);
  return (
    <div class="strip">
      <svg viewBox="0 0 640 30" role="img" aria-label={`${props.nerve.nerve}: ${figure(total)} mm of ${figure(last)} mm lesioned by this criterion`}>
        <defs><pattern id="lesion-hatch" width="6" height="6" patternUnits="userSpaceOnUse"><rect width="6" height="6" fill={colours.lesion} /><path d="M0 6L6 0" stroke="#fff" stroke-width="1" /></pattern></defs>
        <rect x={x(0)} y="9" width={x(last) - x(0)} height="12" rx="6" fill={colours.nerve} />
        {pieces.map(([a, b]) => <rect key={a} x={x(a)} y="6" width={Math.max(1, x(b) - x(a))} height="18" fill="url(#lesion-hatch)" />)}
      </svg>
      <ul class="legend"><li><Swatch colour={colours.nerve} />nerve</li><li><Swatch colour={colours.lesion} />lesioned, {figure(total)} mm</li></ul>
    </div>
  );
}

function Limits({ structures }: { structures: Structure[] }) {
  return (
    <Panel title="Limits and margins" note="Nearest first. A margin below zero is past the limit.">
      <div class="scroll"><table>
        <caption class="hidden">Structures at risk with their limits</caption>
        <thead><tr><th>Structure</th><th class="number">Distance, mm</th><th>Limit</th><th class="number">Found</th><th class="number">Margin</th><th>Verdict</th></tr></thead>
        <tbody>{[...structures].sort((a, b) => (a.distance_to_lesion_mm ?? 1e9) - (b.distance_to_lesion_mm ?? 1e9)).flatMap((one) => {
          const checks = one.checks.filter((check) => check.verdict !== "ok");
          const shown = checks.length ? checks : one.checks.slice(0, 1);
          return shown.map((check, k) => {
            const { label, unit } = { label: capital(plain(check.limit.metric).replace(/ (mm|c|min)$/, "")), unit: check.limit.unit };
            const bound = [check.limit.warn !== null ? `warn ${check.limit.direction} ${check.limit.warn}` : "", check.limit.stop !== null ? `stop ${check.limit.direction} ${check.limit.stop}` : ""].filter(Boolean).join(", ");
            return (
              <tr key={`${one.structure}${k}`} title={check.limit.reason}>
                <td class={check.verdict === "ok" ? "" : "marked"}>{k === 0 ? capital(one.structure) : ""}</td>
                <td class="number">{k === 0 ? figure(one.distance_to_lesion_mm) : ""}</td>
                <td>{label}: {bound} {unit}</td>
                <td class="number">{figure(check.value)}</td>
                <td class="number">{figure(check.margin)}</td>
                <td><Tag kind={check.verdict === "ok" ? "good" : "bad"}>{check.verdict}</Tag>{check.reason && <div class="small muted">{check.reason}</div>}</td>
              </tr>
            );
          });
        })}</tbody>
      </table></div>
    </Panel>
  );
}

function Trace({ record, time }: { record: PlanRecord; time: number | null }) {
  const { catalogue } = useWorld();
  const charts = catalogue.techniques.find((one) => one.name === record.plan.protocol.technique)?.charts ?? [];
  const shown = charts.map((one) => ({ ...one, series: one.series.filter(([name]) => record.trace.series[name]) })).filter((one) => one.series.length);
  if (!shown.length) return null;
  return (
    <Panel title="How it ran">
      <div class="charts">
        {shown.map((one) => (
          <div key={one.title}>
            <h3>{one.title}</h3>
            <LineChart title={one.title} xLabel="seconds" yLabel={one.unit} width={400} height={200} marker={time} series={one.series.map(([name, label]) => ({ label, x: record.trace.time_s, y: record.trace.series[name] ?? [] }))} />
          </div>
        ))}
      </div>
    </Panel>
  );
}

/** The delivery's own answer, where a covered length is not the question. */
function Answered({ answer }: { answer: NonNullable<PlanRecord["answer"]> }) {
  return (
    <div class={`headline ${answer.tone === "plain" ? "" : answer.tone}`}>
      <span class="small muted">{answer.label}</span>
      <span class="big">{answer.answer}</span>
      {answer.number && <span><strong>{answer.number}</strong> {answer.number_note}</span>}
      {answer.details.map((one) => <span class="small muted" key={one}>{one}</span>)}
    </div>
  );
}

function ResultTable({ table }: { table: PlanRecord["tables"][number] }) {
  const numeric = table.columns.map((one) => one.startsWith(">"));
  return (
    <Panel title={table.title} note={table.note}>
      <div class="scroll"><table>
        <caption class="hidden">{table.title}</caption>
        <thead><tr>{table.columns.map((one, k) => <th class={numeric[k] ? "number" : ""} key={one}>{one.replace(/^>/, "")}</th>)}</tr></thead>
        <tbody>{table.rows.map((row, r) => <tr key={r}>{row.map((cell, k) => <td class={numeric[k] ? "number" : ""} key={k}>{cell === null ? "–" : typeof cell === "number" ? significant(cell) : cell}</td>)}</tr>)}</tbody>
      </table></div>
      {table.sources.length > 0 && <Sources ids={table.sources} />}
    </Panel>
  );
}

/** Fields along the nerve that is operated on; pressing shows that place in the slices. */
function Along({ record, onPoint }: { record: PlanRecord; onPoint: (point: Point) => void }) {
  const { catalogue } = useWorld();
  const line = record.along?.[0];
  const charts = catalogue.techniques.find((one) => one.name === record.plan.protocol.technique)?.line_charts ?? [];
  if (!line) return null;
  const shown = charts.map((one) => ({ ...one, series: one.series.filter(([name]) => line.series[name]?.some((value) => Math.abs(value ?? 0) > 1e-9)) })).filter((one) => one.series.length);
  if (!shown.length) return null;
  const pick = (along: number) => {
    const best = line.arc_mm.reduce((found, arc, k) => (Math.abs(arc - along) < Math.abs(line.arc_mm[found]! - along) ? k : found), 0);
    if (line.points_mm[best]) onPoint(line.points_mm[best]);
  };
  const stretches = Object.entries(line.stretches_mm).map(([name, list]) => `${plain(name)} ${list.map(([low, high]) => `${figure(low, 0)} to ${figure(high, 0)} mm`).join(", ")}`);
  return (
    <Panel title={`Along ${line.nerve}`} note={`Press in a chart to see that place in the slices. ${capital(stretches.join("; "))}.`}>
      <div class="charts">
        {shown.map((one) => (
          <div key={one.title}>
            <h3>{one.title}</h3>
            <LineChart title={one.title} xLabel="mm along the nerve" yLabel={one.unit} width={400} height={200} onPick={pick} rules={one.levels.map(([value, label]) => ({ value, label }))} series={one.series.map(([name, label]) => ({ label, x: line.arc_mm, y: line.series[name] ?? [] }))} />
          </div>
        ))}
      </div>
    </Panel>
  );
}
