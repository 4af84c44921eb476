// Patient, side, level, what is unsaved and what stops approval: always in sight.
import { useState } from "preact/hooks";
import { casePath, told } from "../model/api.ts";
import type { CaseStore } from "../model/store.ts";
import type { Notice } from "../model/types.ts";
import { moment, plain } from "../model/words.ts";
import { ThemeButton } from "../parts/theme.tsx";
import { Notices, Tag, useData } from "../parts/ui.tsx";
import { useWorld } from "./context.ts";

export interface StopsData {
  plan: number | null;
  stops: Notice[];
  recheck: string[];
  mark: string;
  overridable: string[];
}

const TABS: [string, string, string][] = [
  ["evaluate", "1", "Evaluate"], ["localize", "2", "Localize"], ["anesthetize", "3", "Anesthetize"], ["deliver", "4", "Deliver"], ["procedure", "", "Procedure"], ["follow-up", "5", "Follow up"],
];

export function Header(props: { store: CaseStore; tab: string; stamp: number; onSave: () => void }) {
  const { store } = props;
  const { catalogue } = useWorld();
  const [open, setOpen] = useState(false);
  const id = store.loaded.id;
  const stops = useData<StopsData>(casePath(id, "stops"), `${props.stamp}/${store.loaded.version}`);
  const { patient, target } = store.mine;
  const about = [patient.sex && patient.sex !== "unknown" ? patient.sex : "", patient.birth_year ? `born ${patient.birth_year}` : "", patient.weight_kg ? `${patient.weight_kg} kg` : ""].filter(Boolean).join(", ");
  const nerve = target ? (catalogue.nerves.find((one) => one.id === target.nerve)?.title ?? catalogue.targets.find((one) => one.id === target.nerve)?.title ?? plain(target.nerve)) : "No target yet";
  const level = target ? [target.bony_level && `bony level ${target.bony_level}`, target.joint && `joint ${target.joint}`].filter(Boolean).join(", ") || "no level" : "choose it under Evaluate";
  const count = stops.value?.stops.length ?? 0;
  const recheck = stops.value?.recheck.length ?? 0;
  return (
    <header class="top">
      <div class="who">
        <a class="brand" href="#/" aria-label="All cases"><img src="/static/icon.svg" alt="" />Cases</a>
        <div class="patient">
          <strong title={store.mine.title ?? ""}>{patient.id}</strong>
          <span>{about || "nothing known of the person"}</span>
        </div>
        <span class={`side ${target ? "" : "unknown"}`}><span class="hidden">Side: </span>{target?.side ?? "no side"}</span>
        <div class="place"><strong>{nerve}</strong><span>{level}</span></div>
        <span class="grow" />
        {store.loaded.case.demonstration && <span class="tag" title="A demonstration case: nobody's record">demo</span>}
        <Tag kind={stops.value && stops.value.mark !== "DRAFT" ? "good" : ""}>{stops.value && stops.value.mark !== "DRAFT" ? "approved" : store.loaded.state}</Tag>
        <button class={`stops-button ${count + recheck ? "" : "none"}`} aria-expanded={open} aria-controls="stops" onClick={() => setOpen(!open)}>
          {count + recheck ? <><span class="count">{count + recheck}</span>{count ? "Stops approval" : "Recheck"}</> : "Nothing stops approval"}
        </button>
        <Saving store={store} onSave={props.onSave} />
      </div>
      <div id="stops" class={open ? "under" : "hidden"} hidden={!open}>
        {stops.error ? <p>{told(stops.error)}</p> : (
          <div class="stack tight">
            <p class="small">{stops.value?.plan ? `Plan ${stops.value.plan}: ${stops.value.mark}` : "No plan yet."}</p>
            {stops.value?.recheck.map((one) => <p class="notice warn" key={one}><strong>Recheck</strong>{one}</p>)}
            <Notices notices={stops.value?.stops ?? []} empty={recheck ? "" : "No stop is open."} />
            <p><a href={`#/case/${encodeURIComponent(id)}/deliver`} onClick={() => setOpen(false)}>Go to the plan</a></p>
          </div>
        )}
      </div>
      <nav class="tabs" aria-label="Steps">
        {TABS.map(([name, step, title]) => (
          <a key={name} href={`#/case/${encodeURIComponent(id)}/${name}`} aria-current={props.tab === name ? "page" : undefined}>
            {step && <span class="step" aria-hidden="true">{step}</span>}{title}
          </a>
        ))}
        <span class="grow" />
        <ThemeButton />
      </nav>
    </header>
  );
}

function Saving(props: { store: CaseStore; onSave: () => void }) {
  const { store } = props;
  const words = {
    saved: `Saved, version ${store.loaded.version}`,
    unsaved: `Unsaved: ${store.changed.slice(0, 3).map(plain).join(", ")}${store.changed.length > 3 ? " …" : ""}`,
    saving: "Saving…",
    conflict: "Unsaved: somebody saved meanwhile",
  }[store.state];
  const others = store.othersUnsaved;
  const shown = others.length ? `${store.state === "saved" ? "Unsaved" : `${words};`} ${store.state === "saved" ? ": " : ""}${others.join(", ")}`.replace(" : ", ": ") : words;
  const kept = store.draftProblem ? `draft not kept: ${store.draftProblem}` : store.draftedAt ? `draft kept ${moment(store.draftedAt)}` : "";
  return (
    <span class="row">
      <span class={`saving ${others.length && store.state === "saved" ? "unsaved" : store.state}`} role="status" aria-live="polite">
        <span class="dot" aria-hidden="true" />
        <span>{shown}{store.unsaved && kept && <span class="muted"><br />{kept}</span>}</span>
      </span>
      {store.undoLabel && <button class="plain" onClick={() => store.undo()} title={`Undo: ${store.undoLabel}`}>Undo</button>}
      <button class="main" disabled={store.state !== "unsaved"} onClick={props.onSave}>Save</button>
    </span>
  );
}
