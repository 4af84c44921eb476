// The pause before anything is given: every item as it was said aloud. What was not said stays not said.
import type { CaseStore } from "../model/store.ts";
import type { Side } from "../model/types.ts";
import { useWorld } from "../pages/context.ts";
import { Choices, Panel, SelectField, Tag, TextField, YesNo } from "../parts/ui.tsx";
import { now, type RoomProps, type TimeOut } from "./room.ts";

const KINDS = ["name", "date of birth", "record number", "wristband", "address", "photograph"];

export function TimeOutPanel(props: RoomProps & { store: CaseStore }) {
  const { room, edit } = props;
  const { session } = useWorld();
  const { target, allergies } = props.store.mine;
  const said = room.time_out ?? {};
  const set = <K extends keyof TimeOut>(key: K, value: TimeOut[K]) => edit((one) => { one.time_out = { ...(one.time_out ?? {}), [key]: value }; });
  const identifiers = said.identifiers ?? [];
  const identifier = (k: number, kind: string, matches: boolean | null) => {
    const next = [0, 1].map((n) => identifiers[n] ?? { kind: KINDS[n]!, matches: null });
    next[k] = { kind, matches };
    set("identifiers", next);
  };
  const sideWrong = Boolean(said.side && target && said.side !== target.side);
  const level = (text: string) => text.replace(/[\s-–]/g, "").toLowerCase();
  const levelKnown = [target?.bony_level, target?.joint].filter((one): one is string => Boolean(one));
  const levelWrong = Boolean(said.level && levelKnown.length && !levelKnown.some((one) => level(one) === level(said.level ?? "")));
  const done = [identifiers.length >= 2 && identifiers.slice(0, 2).every((one) => one.matches), said.side === target?.side && said.side_marked, Boolean(said.level) && !levelWrong, said.consent === true, said.allergies_read === true, Boolean(said.anticoagulant), Boolean(said.implant)].filter(Boolean).length;
  return (
    <Panel title="Time-out" note={said.time ? `Held ${said.time.slice(11, 16)}, led by ${said.led_by || "nobody named"}.` : "Before anything is given."} actions={<><Tag kind={done === 7 ? "good" : ""}>{done} of 7</Tag><button onClick={() => edit((one) => { one.time_out = { ...(one.time_out ?? {}), time: now(), led_by: one.time_out?.led_by || session.user || "" }; })}>{said.time ? "Again now" : "Held now"}</button></>}>
      <div class="stack">
        {[0, 1].map((k) => (
          <div class="row" key={k}>
            <SelectField label={k ? "Second identifier" : "First identifier"} value={identifiers[k]?.kind ?? KINDS[k]!} options={KINDS.map((value) => ({ value, label: value }))} onChange={(kind) => identifier(k, kind, identifiers[k]?.matches ?? null)} />
            <YesNo label="Matches" value={identifiers[k]?.matches} onChange={(value) => identifier(k, identifiers[k]?.kind ?? KINDS[k]!, value)} />
          </div>
        ))}
        <div class="row">
          <Choices legend="Side, as the patient says it" value={said.side ?? ""} options={["left", "right", "midline"].map((value) => ({ value, label: value }))} onChange={(value) => set("side", value as Side)} clear />
          <YesNo label="Side marked on the skin" value={said.side_marked} onChange={(value) => set("side_marked", value)} />
        </div>
        {sideWrong && <p class="notice stop" role="alert"><strong>Stop</strong>The case says {target?.side}, the time-out {said.side}.</p>}
        <TextField label="Level, as the team says it" value={said.level ?? ""} hint={levelKnown.length ? `The case says ${levelKnown.join(" or ")}.` : "The case names no level."} onChange={(value) => set("level", value || null)} />
        {levelWrong && <p class="notice stop" role="alert"><strong>Stop</strong>The level said is not that of the case.</p>}
        <div class="row">
          <YesNo label="Consent signed" value={said.consent} onChange={(value) => set("consent", value)} />
          <YesNo label="Allergies asked for aloud" value={said.allergies_read} onChange={(value) => set("allergies_read", value)} />
        </div>
        <TextField label="Allergies as said, separated by commas" value={(said.allergies ?? []).join(", ")} hint={allergies === null || allergies === undefined ? "The case does not say." : allergies.length ? `The case says: ${allergies.join(", ")}.` : "The case says none."} onChange={(value) => set("allergies", value.split(",").map((one) => one.trimStart()).filter(Boolean))} />
        <div class="fields">
          <SelectField label="Anticoagulant" empty="not said" value={said.anticoagulant ?? ""} options={["none", "paused as agreed", "not paused", "continued as agreed"].map((value) => ({ value, label: value }))} onChange={(value) => set("anticoagulant", value || null)} />
          <SelectField label="Implant" empty="not said" value={said.implant ?? ""} options={["none", "settled", "not settled"].map((value) => ({ value, label: value }))} onChange={(value) => set("implant", value || null)} />
          <TextField label="Led by" value={said.led_by ?? ""} onChange={(value) => set("led_by", value)} />
        </div>
      </div>
    </Panel>
  );
}
