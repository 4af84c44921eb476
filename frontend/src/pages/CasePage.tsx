// One case: the header that never scrolls away, the tabs, and the work that runs for it.
import { useCallback, useEffect, useMemo, useState } from "preact/hooks";
import { ApiError, casePath, get, send, told } from "../model/api.ts";
import { CaseStore } from "../model/store.ts";
import type { Job } from "../model/types.ts";
import { Boundary } from "../parts/Boundary.tsx";
import { toast } from "../parts/toast.tsx";
import { Trouble } from "../parts/ui.tsx";
import { Anesthetize } from "../tabs/Anesthetize.tsx";
import { Deliver } from "../tabs/Deliver.tsx";
import { Evaluate } from "../tabs/Evaluate.tsx";
import { FollowUp } from "../tabs/FollowUp.tsx";
import { Localize } from "../tabs/Localize.tsx";
import { ProcedureTab } from "../tabs/Procedure.tsx";
import { ViewerState } from "../viewer/state.ts";
import { ConflictPanel } from "./Conflict.tsx";
import { useStore, type TabProps, type Work } from "./context.ts";
import { Header } from "./Header.tsx";
import { JobPanel, useJob } from "./Jobs.tsx";

const TABS: Record<string, (props: TabProps) => preact.JSX.Element> = {
  evaluate: Evaluate, localize: Localize, anesthetize: Anesthetize, deliver: Deliver, procedure: ProcedureTab, "follow-up": FollowUp,
};

export function CasePage(props: { id: string; tab: string }) {
  const [store, setStore] = useState<CaseStore | null>(null);
  const [error, setError] = useState<unknown>(null);
  useEffect(() => { CaseStore.open(props.id).then(setStore).catch(setError); }, [props.id]);
  if (error) {
    const gone = error instanceof ApiError && error.status === 404;
    return <main><a href="#/">All cases</a><Trouble error={gone ? "There is no such case, or it is not yours to see." : error} /></main>;
  }
  return store ? <Opened store={store} tab={props.tab} /> : <p class="boot">Opening the case…</p>;
}

function Opened(props: { store: CaseStore; tab: string }) {
  const store = useStore(props.store);
  const viewer = useMemo(() => new ViewerState(store), [store]);
  const [stamp, setStamp] = useState(0);
  const touched = useCallback(() => { setStamp((n) => n + 1); void store.reload(); }, [store]);
  const id = store.loaded.id;
  const [job, follow] = useJob(id, touched);

  useEffect(() => { void viewer.load(); return () => { viewer.closed = true; }; }, [viewer]);
  const version = store.loaded.version;
  useEffect(() => {
    if (viewer.loading) return;
    void viewer.loadScene();
    void viewer.loadPreview();
    setStamp((n) => n + 1);
  }, [version]);
  useEffect(() => { document.title = `${store.mine.title || id} · neurolysis`; });
  useEffect(() => {
    const leave = (event: BeforeUnloadEvent) => { if (store.unsaved && store.draftProblem) event.preventDefault(); else if (store.unsaved) void store.keepDraft(); };
    const keys = (event: KeyboardEvent) => {
      if (!(event.ctrlKey || event.metaKey)) return;
      if (event.key === "s") { event.preventDefault(); void save(store); }
      const typing = event.target instanceof HTMLInputElement || event.target instanceof HTMLTextAreaElement;
      if (event.key === "z" && !typing) { event.preventDefault(); store.undo(); }
    };
    window.addEventListener("beforeunload", leave);
    window.addEventListener("keydown", keys);
    return () => { window.removeEventListener("beforeunload", leave); window.removeEventListener("keydown", keys); };
  }, [store]);

  const simulate = useCallback(async () => {
    try {
      if (!(await store.save("before a simulation"))) return;
      const running = (await get<Job[]>(`/api/jobs?case=${encodeURIComponent(id)}`)).filter((one) => one.state === "queued" || one.state === "running");
      for (const old of running) await send("DELETE", `/api/jobs/${old.job_id}`);
      follow(await send<Job>("POST", casePath(id, "simulate"), { case_version: store.loaded.version }));
    } catch (error) {
      toast(told(error));
    }
  }, [store, id, follow]);
  const work: Work = useMemo(() => ({ simulate, stamp, touched }), [simulate, stamp, touched]);
  const Tab = TABS[props.tab] ?? Evaluate;
  return (
    <>
      <a class="skip" href="#work" onClick={(event) => { event.preventDefault(); document.getElementById("work")?.focus(); }}>To the work</a>
      <Header store={store} tab={TABS[props.tab] ? props.tab : "evaluate"} stamp={stamp} onSave={() => void save(store)} />
      <main id="work" tabIndex={-1}>
        {store.conflict && <ConflictPanel store={store} />}
        {store.strays.map((one) => (
          <section class="panel row between" key={one.kind} aria-label="Another draft">
            <p>Another draft of yours of this case is kept, from {new Date(one.draft.data.saved_at).toLocaleString("en-GB")}: typed in another tab, or in one that was closed.</p>
            <span class="row">
              <button onClick={() => void store.adopt(one.kind)}>Work on with it</button>
              <button onClick={() => void store.dropStray(one.kind).then(() => toast("The draft is deleted.", { label: "Undo", run: () => void send("PUT", casePath(id, `draft/${one.kind}`), one.draft.data).then(() => window.location.reload()) }))}>Delete it</button>
            </span>
          </section>
        ))}
        {job && <JobPanel job={job} onClose={() => follow(null)} onAgain={() => void simulate()} />}
        <Boundary key={props.tab}><Tab store={store} viewer={viewer} work={work} /></Boundary>
      </main>
    </>
  );
}

async function save(store: CaseStore): Promise<void> {
  try {
    if (await store.save()) toast(`Saved as version ${store.loaded.version}.`);
  } catch (error) {
    toast(`Not saved: ${told(error)}. What you typed is kept as a draft.`);
  }
}
