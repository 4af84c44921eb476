// Step 2: where the nerve is, and a way for the needle.
import { useState } from "preact/hooks";
import { casePath } from "../model/api.ts";
import type { Catalogue, Placement, Point } from "../model/types.ts";
import { capital, figure, plain } from "../model/words.ts";
import { tabParts, useStore, useViewer, useWorld, type TabProps } from "../pages/context.ts";
import { toast } from "../parts/toast.tsx";
import { Citations, Source } from "../parts/source.tsx";
import { CheckField, Empty, Panel, Tag, useData, waiting } from "../parts/ui.tsx";
import { NeedleNumbers, setPlacements } from "../viewer/Controls.tsx";
import { Fluoro } from "../viewer/Fluoro.tsx";
import { rounded } from "../viewer/geometry.ts";
import { Viewer } from "../viewer/Viewer.tsx";
import { endOf } from "./Instrument.tsx";
import { Paths, type TargetPaths } from "./Paths.tsx";
import { withPath } from "./path.ts";

interface Landmark {
  name: string;
  side: string | null;
  find: string;
  needed: boolean;
  state: string;
}

interface Localization {
  needs: { target: string; title: string; side: string; level: string; landmarks: Landmark[]; labels: string; unknown: string[]; source: string };
  missing: string[];
  target: { title: string; side: string; level: string; errors: { name: string; standard_deviation_mm: number | null; basis: string; source: string }[]; checks: string[]; how: string; approach: string } | null;
  why_not: string;
  paths: TargetPaths | null;
  no_paths: string;
  citations: Record<string, string>;
}

/** Length of the end that acts of the first needle, mm. */
export function activeTipOf(store: TabProps["store"], catalogue: Catalogue): number {
  const { treatment } = store.mine;
  const id = treatment?.placements?.[0]?.instrument ?? treatment?.instrument;
  const technique = catalogue.techniques.find((one) => one.name === treatment?.technique);
  return endOf(technique, treatment?.protocol, catalogue.instruments.find((one) => one.id === id));
}

export function Localize({ store, viewer, work }: TabProps) {
  useStore(store);
  useViewer(viewer, tabParts);
  const { catalogue, session } = useWorld();
  const [picking, setPicking] = useState<Landmark | null>(null);
  const [run, setRun] = useState(true);
  const target = store.loaded.case.target;
  const ruled = catalogue.findable.includes(target?.nerve ?? "");
  const data = useData<Localization>(target && ruled ? casePath(store.loaded.id, "localization") : null, `${store.loaded.version}/${work.stamp}`);
  const activeTip = activeTipOf(store, catalogue);
  const lesion = viewer.previews[0] ?? null;
  const technique = catalogue.techniques.find((one) => one.name === store.mine.treatment?.technique);

  const pick = (point: Point) => {
    if (!picking) return;
    const name = picking.name;
    store.edit(`pick ${plain(name)}`, (one) => {
      const rest = (one.landmarks ?? []).filter((other) => !(other.name === name && (other.side ?? null) === (picking.side ?? null)));
      one.landmarks = [...rest, { name, side: (picking.side ?? null) as never, point_mm: rounded(point), picked_by: session.user ?? "", reviewed: false }];
    });
    viewer.change({ centre: point });
    setPicking(null);
    toast(`${capital(plain(name))} is picked. Save to find the target with it.`, { label: "Undo", run: () => store.undo() });
  };
  const unpick = (k: number) => {
    store.edit("remove a landmark", (one) => { one.landmarks = (one.landmarks ?? []).filter((_, other) => other !== k); });
    toast("The landmark is removed.", { label: "Undo", run: () => store.undo() });
  };
  const moved = (placements: Placement[], label?: string) => {
    setPlacements(store, placements, label);
    if (run) void work.simulate();
  };
  const place = () => {
    const tip = rounded(viewer.centre);
    const instrument = store.mine.treatment?.instrument;
    if (!instrument) return;
    setPlacements(store, [...(store.mine.treatment?.placements ?? []), { instrument, tip_mm: tip, towards_hub_mm: [tip[0], tip[1] + 100, tip[2]] }], "place a needle");
  };
  const removeNeedle = () => {
    setPlacements(store, (store.mine.treatment?.placements ?? []).slice(0, -1), "remove a needle");
    toast("The needle is removed.", { label: "Undo", run: () => store.undo() });
  };
  const count = store.mine.treatment?.placements?.length ?? 0;
  const take = (placement: Placement, needle: number) => {
    moved(withPath(store.mine.treatment?.placements ?? [], placement, needle), "take a needle path");
    viewer.change({ centre: [...placement.tip_mm], middle: [...placement.tip_mm] });
    toast("The needle lies on the path.", { label: "Undo", run: () => store.undo() });
  };
  return (
    <>
      <h1 class="hidden">Localize</h1>
      <div class="workbench">
        <div class="stack">
          {picking && <div class="notice warn in-sight" role="status" ref={intoSight}><strong>Picking</strong>{capital(plain(picking.name))}: {picking.find}. Click it in a slice, or move the crosshair there and press the button. <button onClick={() => pick(viewer.centre)}>Pick at the crosshair</button> <button class="plain" onClick={() => setPicking(null)}>Stop picking</button></div>}
          <Viewer viewer={viewer} lesion={lesion} activeTip={activeTip} onPick={picking ? pick : undefined} onNeedle={count ? moved : undefined} beside={viewer.volume && <Fluoro viewer={viewer} activeTip={activeTip} views={catalogue.views} />} />
        </div>
        <div class="stack">
          <Panel title="Needle">
            {technique && !technique.places_instrument ? <p class="muted">{technique.title}: nothing is placed. What is freed is told along the nerve, under <a href={`#/case/${encodeURIComponent(store.loaded.id)}/deliver`}>Deliver</a>.</p> : !store.mine.treatment ? <Empty title="No treatment yet"><p>Choose technique and instrument under <a href={`#/case/${encodeURIComponent(store.loaded.id)}/deliver`}>Deliver</a>, then place the needle here.</p></Empty> : (
              <div class="stack">
                <div class="row"><button onClick={place} disabled={!viewer.volume || !store.mine.treatment.instrument}>Place a needle at the crosshair</button>{count > 0 && <button onClick={removeNeedle}>Remove the last needle</button>}</div>
                {!store.mine.treatment.instrument && <p class="small muted">First choose the instrument under <a href={`#/case/${encodeURIComponent(store.loaded.id)}/deliver`}>Deliver</a>.</p>}
                {count > 0 && <CheckField label="Simulate when the needle is let go" value={run} onChange={setRun} />}
                {count > 0 && <NeedleNumbers store={store} viewer={viewer} onDone={() => void work.simulate()} />}
                {viewer.previewProblem && <p class="small muted">No preview: {viewer.previewProblem}</p>}
              </div>
            )}
          </Panel>
          <Panel title="Target" note={data.value?.target ? `${data.value.target.title}, found by ${data.value.target.how}` : ""}>
            {!store.loaded.case.target ? <Empty title="No target yet"><p>Choose it under <a href={`#/case/${encodeURIComponent(store.loaded.id)}/evaluate`}>Evaluate</a>.</p></Empty> : ruled ? waiting(data, "the target") : <Drawn viewer={viewer} />}
            {data.value && <Citations.Provider value={data.value.citations}><TargetFacts data={data.value} /></Citations.Provider>}
          </Panel>
          {data.value && (
            <Panel title="Landmarks" note="What the target is found from.">
              <Landmarks data={data.value} onPick={setPicking} picking={picking} hasImage={Boolean(viewer.volume)} />
              {(store.mine.landmarks ?? []).map((one, k) => (
                <p class="picked small" key={k}><span>{capital(plain(one.name))}{one.side ? `, ${one.side}` : ""} at {one.point_mm.map((value) => figure(value)).join(", ")} mm</span>
                  <span class="row"><button class="plain" onClick={() => viewer.change({ centre: one.point_mm, middle: one.point_mm })}>Show</button><button class="plain" onClick={() => unpick(k)}>Remove</button></span></p>
              ))}
            </Panel>
          )}
          {data.value && <Paths paths={data.value.paths} none={data.value.no_paths} needles={store.mine.treatment ? count : null} onUse={take} />}
        </div>
      </div>
    </>
  );
}

/** No rule finds this nerve from landmarks: it is where the case draws it. */
function Drawn({ viewer }: { viewer: TabProps["viewer"] }) {
  const nerve = viewer.scene?.nerves.find((one) => one.is_target);
  return nerve
    ? <p>{nerve.name} lies as it is drawn in the case{nerve.sd_mm ? `, ± ${figure(nerve.sd_mm)} mm (SD)` : ""}. No rule finds this nerve from landmarks.</p>
    : <div class="notice warn"><strong>Not drawn</strong>No rule finds this nerve from landmarks, and the case does not draw it: give its course as a list of points (nerves) in the case file.</div>;
}

function TargetFacts({ data }: { data: Localization }) {
  const { target } = data;
  if (!target) return <div class="notice warn"><strong>Not found</strong>{data.why_not || "Landmarks are missing."}</div>;
  return (
    <div class="stack tight">
      <dl class="facts">
        <div><dt>Side, level</dt><dd>{target.side}{target.level ? `, ${target.level}` : ""}</dd></div>
        {target.errors.map((one) => <div key={one.name}><dt>Uncertainty: {one.name}</dt><dd>{one.standard_deviation_mm === null ? "not known" : `± ${figure(one.standard_deviation_mm)} mm (SD)`}, {one.basis}<div class="small muted"><Source text={one.source} /></div></dd></div>)}
      </dl>
      {target.checks.length > 0 && <ul class="lines">{target.checks.map((one) => <li key={one}>{one}</li>)}</ul>}
      {data.needs.unknown.length > 0 && <details><summary>What is not known ({data.needs.unknown.length})</summary><ul class="lines">{data.needs.unknown.map((one) => <li key={one}>{one}</li>)}</ul></details>}
    </div>
  );
}

/** The slices stand beside a long list: whoever starts picking far down it is brought to them. */
function intoSight(notice: HTMLElement | null): void {
  notice?.scrollIntoView({ block: "start" });
}

function Landmarks(props: { data: Localization; picking: Landmark | null; onPick: (one: Landmark) => void; hasImage: boolean }) {
  const { landmarks } = props.data.needs;
  if (!landmarks.length) return <p class="muted small">This target needs no landmark.</p>;
  return (
    <ul class="notices">
      {landmarks.map((one) => (
        <li class={`notice ${one.needed && props.data.missing.includes(one.name) ? "warn" : ""}`} key={one.name + (one.side ?? "")}>
          <p><strong>{capital(one.find)}</strong></p>
          <p class="small muted">{plain(one.name)}{one.side ? `, ${one.side}` : ""}</p>
          <div class="row between"><Tag>{one.state}</Tag>{props.hasImage && <button aria-pressed={props.picking?.name === one.name} onClick={() => props.onPick(one)}>Pick in the slices</button>}</div>
        </li>
      ))}
    </ul>
  );
}
