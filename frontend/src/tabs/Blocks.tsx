// Diagnostic blocks as given: what was injected where, and how the pain went after. The reading is the program's.
import { same } from "../model/merge.ts";
import type { CaseStore } from "../model/store.ts";
import type { Block, Side } from "../model/types.ts";
import { day, plain, today } from "../model/words.ts";
import { useWorld } from "../pages/context.ts";
import { Source } from "../parts/source.tsx";
import { toast } from "../parts/toast.tsx";
import { Choices, Empty, NumberField, Panel, SelectField, TextField, YesNo } from "../parts/ui.tsx";

const SIDES = ["left", "right", "midline"].map((value) => ({ value, label: value }));
const KINDS = ["local anaesthetic", "placebo"].map((value) => ({ value, label: value }));

/** What the program reads from a block, as the evaluation of the saved case says. */
export interface BlockReading {
  target: string;
  side: string;
  performed: string;
  kind: string;
  reads: string;
  source: string;
}

function sameBlock(one: Block, read: BlockReading): boolean {
  return one.target === read.target && one.side === read.side && one.performed === read.performed && one.kind === read.kind;
}

export function BlocksPanel({ store, readings }: { store: CaseStore; readings: readonly BlockReading[] }) {
  const { catalogue } = useWorld();
  const { target } = store.mine;
  const blocks = store.mine.blocks ?? [];
  const edit = (label: string, change: (list: Block[]) => Block[]) => store.edit(label, (one) => { one.blocks = change(one.blocks ?? []); });
  const set = (k: number, values: Partial<Block>) => edit(`diagnostic block ${k + 1}`, (list) => list.map((one, other) => (other === k ? { ...one, ...values } : one)));
  const add = () => {
    const pain = store.mine.pain?.find((one) => one.main)?.intensity;
    edit("add a diagnostic block", (list) => [...list, { target: target?.nerve ?? "", side: target?.side ?? "left", level: target?.joint ?? null, performed: today(), kind: "local anaesthetic", agent: "", baseline_pain: pain ?? 0, diary: [] }]);
  };
  const remove = (k: number) => {
    edit("remove a diagnostic block", (list) => list.filter((_, other) => other !== k));
    toast("The block is removed.", { label: "Undo", run: () => store.undo() });
  };
  const nerves = catalogue.nerves.map((one) => ({ value: one.id, label: one.title }));
  return (
    <Panel title="Diagnostic blocks" note="As given, with the pain told afterwards; what it means is worked out from the diary." actions={<button onClick={add} disabled={!target}>Add a block</button>}>
      <div class="stack">
        {!blocks.length && <Empty title="No diagnostic block is recorded"><p>{target ? "Add one with its date, agent, volume and the diary of pain." : "Choose the target above first: a block is recorded at a nerve and a side."}</p></Empty>}
        {blocks.map((one, k) => {
          const kept = (store.loaded.case.blocks ?? []).some((other) => same(other, one));
          const read = kept ? readings.find((other) => sameBlock(one, other)) : undefined;
          return (
            <fieldset class="stack tight" key={k}>
              <legend>{day(one.performed)}, {nerves.find((nerve) => nerve.value === one.target)?.label ?? plain(one.target)} <button class="plain" onClick={() => remove(k)} aria-label={`Remove block ${k + 1}`}>Remove</button></legend>
              <div class="fields">
                <SelectField label="Nerve blocked" value={one.target} options={nerves} onChange={(value) => set(k, { target: value })} />
                <SelectField label="Kind" value={one.kind} options={KINDS} onChange={(kind) => set(k, { kind })} />
                <TextField label="Done on" type="date" value={one.performed} wrong={one.performed > today() ? "This day lies ahead." : ""} onChange={(value) => value && set(k, { performed: value })} />
                <TextField label="Level" value={one.level ?? ""} onChange={(level) => set(k, { level: level || null })} />
                {one.kind !== "placebo" && <SelectField label="Agent" empty="not said" value={one.agent ?? ""} options={catalogue.agents.map((agent) => ({ value: agent.id, label: agent.title }))} onChange={(agent) => set(k, { agent })} />}
                {one.kind !== "placebo" && <NumberField label="Strength" unit="%" min={0.01} max={10} value={one.concentration_percent ?? null} onChange={(value) => set(k, { concentration_percent: value })} />}
                <NumberField label="Volume" unit="mL" min={0.01} max={50} value={one.volume_ml ?? null} onChange={(value) => set(k, { volume_ml: value })} />
                <NumberField label="Pain before, 0 to 10" min={0} max={10} value={one.baseline_pain} onChange={(value) => value !== null && set(k, { baseline_pain: value })} />
              </div>
              <Choices legend="Side" value={one.side} options={SIDES} onChange={(side) => set(k, { side: side as Side })} />
              <div class="row">
                <YesNo label="With a steroid" value={one.steroid} onChange={(steroid) => set(k, { steroid })} />
                <YesNo label="Under sedation" value={one.sedation} onChange={(sedation) => set(k, { sedation })} />
              </div>
              <p class="small">{read ? <><strong>Relief: </strong>{read.reads} <span class="muted"><Source text={read.source} /></span></> : <span class="muted">Relief and how long it lasted are worked out from the diary once the case is saved.</span>}</p>
              <Diary block={one} number={k + 1} onChange={(diary) => set(k, { diary })} />
            </fieldset>
          );
        })}
      </div>
    </Panel>
  );
}

function Diary(props: { block: Block; number: number; onChange: (diary: NonNullable<Block["diary"]>) => void }) {
  const diary = props.block.diary ?? [];
  const next = diary.length ? Math.max(...diary.map((one) => one.hours_after)) + 1 : 0.5;
  const set = (k: number, values: Partial<(typeof diary)[number]>) => props.onChange(diary.map((one, other) => (other === k ? { ...one, ...values } : one)));
  return (
    <div class="stack tight">
      <div class="scroll"><table>
        <caption>Diary after block {props.number} ({plain(props.block.target)}){!diary.length && ": nothing yet"}</caption>
        {diary.length > 0 && <thead><tr><th>Hours after</th><th>Pain, 0 to 10</th><th /></tr></thead>}
        <tbody>{diary.map((one, k) => (
          <tr key={k}>
            <td><NumberField label={`Hours after, line ${k + 1}`} hideLabel unit="h" min={0} max={336} value={one.hours_after} onChange={(value) => value !== null && set(k, { hours_after: value })} /></td>
            <td><NumberField label={`Pain, line ${k + 1}`} hideLabel min={0} max={10} value={one.pain} onChange={(value) => value !== null && set(k, { pain: value })} /></td>
            <td class="number"><button class="plain" onClick={() => props.onChange(diary.filter((_, other) => other !== k))} aria-label={`Remove line ${k + 1} of the diary`}>Remove</button></td>
          </tr>
        ))}</tbody>
      </table></div>
      <div class="row"><button onClick={() => props.onChange([...diary, { hours_after: next, pain: props.block.baseline_pain }])}>Add a line to the diary</button></div>
    </div>
  );
}
