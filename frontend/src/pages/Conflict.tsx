// Two people changed one case: what each changed is shown, and nothing is lost.
import { useState } from "preact/hooks";
import { told } from "../model/api.ts";
import type { CaseStore } from "../model/store.ts";
import { moment, plain } from "../model/words.ts";
import { toast } from "../parts/toast.tsx";
import { Choices, Panel } from "../parts/ui.tsx";

function brief(value: unknown): string {
  if (value === undefined || value === null) return "not stated";
  if (typeof value === "string") return value || "empty";
  const text = JSON.stringify(value);
  return text.length > 260 ? `${text.slice(0, 260)}…` : text;
}

export function ConflictPanel(props: { store: CaseStore }) {
  const { store } = props;
  const [mine, setMine] = useState<ReadonlySet<string>>(new Set());
  if (!store.conflict) return null;
  const { theirs, merge } = store.conflict;
  const choose = (key: string, which: string) => {
    const next = new Set(mine);
    if (which === "mine") next.add(key); else next.delete(key);
    setMine(next);
  };
  const settle = async () => {
    try {
      await store.settle(mine);
      toast("Both sets of changes are in the case now. Look it over, then save.");
    } catch (error) {
      toast(told(error));
    }
  };
  return (
    <Panel title="This case was saved by somebody else meanwhile" note={`Version ${theirs.version}, by ${theirs.updated_by}, ${moment(theirs.updated_at)}. Your changes are kept.`}>
      <div class="stack">
        {merge.theirs.length > 0 && <p>Changed by them only, and taken over: {merge.theirs.map(plain).join(", ")}.</p>}
        {merge.mine.length > 0 && <p>Changed by you only, and kept: {merge.mine.map(plain).join(", ")}.</p>}
        {merge.both.length > 0 && <p><strong>Changed by both: choose.</strong></p>}
        {merge.both.map((key) => (
          <div class="stack tight" key={key}>
            <Choices legend={plain(key)} value={mine.has(key) ? "mine" : "theirs"} options={[{ value: "theirs", label: "Theirs" }, { value: "mine", label: "Mine" }]} onChange={(which) => choose(key, which)} />
            <dl class="facts">
              <div><dt>Theirs</dt><dd>{brief((theirs.case as Record<string, unknown>)[key])}</dd></div>
              <div><dt>Mine</dt><dd>{brief((store.mine as Record<string, unknown>)[key])}</dd></div>
            </dl>
          </div>
        ))}
        <div class="row"><button class="main" onClick={() => void settle()}>Put them together</button></div>
      </div>
    </Panel>
  );
}
