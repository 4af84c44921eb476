// Which instrument: only those made for the chosen technique, in groups, with their sizes.
import { useState } from "preact/hooks";
import type { InstrumentInfo, Placement, TechniqueInfo } from "../model/types.ts";
import { capital, figure } from "../model/words.ts";
import { SelectField, TextField } from "../parts/ui.tsx";

/** Those that fit, all of them where nothing is said of the technique's instrument. */
export function fitting(instruments: readonly InstrumentInfo[], technique: TechniqueInfo | undefined): InstrumentInfo[] {
  const kinds = technique?.instrument?.kinds;
  return instruments.filter((one) => !kinds || kinds.includes(one.kind));
}

/** Shape and gauge where there are many; the kind where there are few. */
export function grouped(instruments: readonly InstrumentInfo[]): [string, InstrumentInfo[]][] {
  const found = new Map<string, InstrumentInfo[]>();
  for (const one of instruments) {
    const name = instruments.length > 12 ? `${capital(one.shape)}, ${one.gauge}G` : `${capital(one.kind)}s`;
    found.set(name, [...(found.get(name) ?? []), one]);
  }
  return [...found];
}

/** Length of the end that acts, mm: as the protocol says where it does, else the instrument's own. */
export function endOf(technique: TechniqueInfo | undefined, protocol: Record<string, unknown> | undefined, instrument: InstrumentInfo | undefined): number {
  const field = technique?.instrument?.end_field;
  const told = field ? (protocol?.[field] ?? technique?.protocol_schema.properties?.[field]?.default) : undefined;
  return typeof told === "number" ? told : (instrument?.active_tip_mm ?? 5);
}

function words(one: InstrumentInfo): string {
  const wide = `${one.gauge}G (${figure(2 * one.outer_radius_mm.value, 2)} mm across)`;
  const bend = one.shape === "straight" ? "" : `, ${one.shape}`;
  const end = one.kind === "injection needle" ? "" : `, tip ${figure(one.active_tip_mm, one.active_tip_mm % 1 ? 1 : 0)} mm`;
  return `${capital(one.kind)}${bend}: ${wide}${end}, shaft ${one.shaft_length_mm} mm.`;
}

interface Props {
  instruments: readonly InstrumentInfo[];
  technique: TechniqueInfo;
  value: string;
  placements: readonly Placement[];
  onChange: (id: string) => void;
}

export function InstrumentPicker(props: Props) {
  const [query, setQuery] = useState("");
  const fit = fitting(props.instruments, props.technique);
  const asked = query.toLowerCase().split(/\s+/).filter(Boolean);
  const shown = fit.filter((one) => asked.every((word) => `${one.name} ${one.kind} ${one.id}`.toLowerCase().includes(word)));
  const chosen = props.instruments.find((one) => one.id === props.value);
  const others = [...new Set(props.placements.map((one) => one.instrument))].filter((id) => id !== props.value);
  const wrong = chosen && !fit.includes(chosen) ? `${chosen.name}: made for another technique. Choose one of these.` : others.length ? `A needle already placed is another one: ${others.join(", ")}.` : "";
  const options = grouped(shown).map(([label, group]) => ({ label, options: group.map((one) => ({ value: one.id, label: one.name })) }));
  if (chosen && !shown.includes(chosen)) options.unshift({ label: "Chosen now", options: [{ value: chosen.id, label: chosen.name }] });
  return (
    <div class="stack tight">
      {fit.length > 12 && <TextField label="Find an instrument" type="search" value={query} onChange={setQuery} placeholder="18G 10 mm curved" />}
      <SelectField label={`Instrument (${shown.length} of ${fit.length} that fit)`} empty="not chosen" value={props.value} groups={options} options={[]} hint={chosen ? words(chosen) : ""} wrong={wrong} onChange={props.onChange} />
    </div>
  );
}
