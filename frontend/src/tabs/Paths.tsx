// The needle paths found, best first, each with what it keeps clear of.
import type { Placement } from "../model/types.ts";
import { capital, figure, percent } from "../model/words.ts";
import { Panel } from "../parts/ui.tsx";
import { placementOf, type Chance, type Offer } from "./path.ts";

export interface TargetPaths {
  instrument: string;
  search: { offers: Offer[]; remarks: string[]; candidates: number; passed: number };
  unseen: string[];
}

const NEAREST = 3;

/** `needles` is how many the treatment has; null without a treatment, where none can be laid. */
export function Paths(props: { paths: TargetPaths | null; none: string; needles: number | null; onUse: (placement: Placement, needle: number) => void }) {
  const { paths } = props;
  if (!paths) return props.none ? <Panel title="Needle paths"><p class="small">{capital(props.none)}</p></Panel> : null;
  const { offers, remarks } = paths.search;
  return (
    <Panel title="Needle paths, ranked" note={`Of ${paths.search.candidates} tried. Clearance is from the needle's surface to the nearest point.`}>
      <div class="stack tight">
        {!offers.length && <p class="notice warn"><strong>None</strong>No path keeps every limit when measured exactly.</p>}
        <ol class="notices">
          {offers.map((one) => <li class="notice" key={one.rank}><Path offer={one} instrument={paths.instrument} needles={props.needles} onUse={props.onUse} /></li>)}
        </ol>
        {paths.unseen.map((one) => <p class="notice warn" key={one}><strong>Not seen</strong>{capital(one)}. No path is known to be clear of it.</p>)}
        {remarks.map((one) => <p class="small muted" key={one}>{one}</p>)}
      </div>
    </Panel>
  );
}

function Path(props: { offer: Offer; instrument: string; needles: number | null; onUse: (placement: Placement, needle: number) => void }) {
  const { offer, needles } = props;
  const use = (needle: number) => props.onUse(placementOf(offer, props.instrument), needle);
  const buttons = needles !== null && needles > 1
    ? Array.from({ length: needles }, (_, k) => <button class="plain" key={k} onClick={() => use(k)} aria-label={`Use path ${offer.rank} for needle ${k + 1}`}>For needle {k + 1}</button>)
    : <button class="plain" onClick={() => use(0)} aria-label={`Use path ${offer.rank}`}>Use this path</button>;
  return (
    <div class="stack tight">
      <strong>{offer.rank}. {figure(offer.length_mm, 0)} mm from skin to tip</strong>
      <span class="small">{offer.angle_deg === null ? "" : `${figure(offer.angle_deg, 0)}° to the nerve. `}{offer.met ? `Meets it within ${figure(offer.reach_mm)} mm in ${chance(offer.met)} of placements.` : ""}</span>
      <ul class="lines small">{offer.clearances.slice(0, NEAREST).map((one) => <li key={one.name}>{one.name}: {figure(one.gap_mm)} mm{one.touched ? `, touched in ${chance(one.touched)}` : ""}</li>)}</ul>
      {needles === null ? <span class="small muted">Choose a technique under Deliver to use it.</span> : <div class="row">{buttons}</div>}
    </div>
  );
}

/** None seen in the sample is not none: then the upper bound is told. */
function chance(found: Chance): string {
  return found.value === 0 ? `under ${percentOf(found.high)}` : percentOf(found.value);
}

function percentOf(value: number): string {
  return value < 0.1 ? `${figure(100 * value)} %` : percent(value);
}
