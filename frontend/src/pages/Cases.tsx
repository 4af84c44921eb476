// The list of cases: find one, bring one in, start from a demonstration.
import { useEffect, useRef, useState } from "preact/hooks";
import { casePath, send, told, upload } from "../model/api.ts";
import { readDropped, zipFiles } from "../model/dropped.ts";
import type { CaseRow } from "../model/types.ts";
import { moment, plain } from "../model/words.ts";
import { ThemeButton } from "../parts/theme.tsx";
import { toast } from "../parts/toast.tsx";
import { Choices, Empty, Tag, TextField, Trouble, useData } from "../parts/ui.tsx";
import { useWorld } from "./context.ts";

const STATES = ["to evaluate", "planned", "approved", "delivered", "follow-up due"];
const PAGE = 50;

export function Cases() {
  const { session, catalogue } = useWorld();
  const [query, setQuery] = useState("");
  const [asked, setAsked] = useState("");
  const [state, setState] = useState("");
  const [trash, setTrash] = useState(false);
  const [offset, setOffset] = useState(0);
  const [busy, setBusy] = useState("");
  const [problem, setProblem] = useState("");
  useEffect(() => {
    const timer = window.setTimeout(() => { setAsked(query); setOffset(0); }, 200);
    return () => window.clearTimeout(timer);
  }, [query]);
  const search = new URLSearchParams({ query: asked, offset: String(offset), limit: String(PAGE), ...(state ? { state } : {}), ...(trash ? { trash: "1" } : {}) });
  const page = useData<{ total: number; rows: CaseRow[] }>(`/api/cases?${search}`);
  useEffect(() => { document.title = "Cases · neurolysis"; }, []);

  const doing = async (what: string, work: () => Promise<string>) => {
    setBusy(what);
    setProblem("");
    try {
      window.location.hash = `#/case/${encodeURIComponent(await work())}/evaluate`;
    } catch (error) {
      setProblem(told(error));
    } finally {
      setBusy("");
    }
  };
  const bring = (files: File[]) => doing("Importing…", async () => {
    const file = files.length === 1 && files[0]!.webkitRelativePath === "" ? files[0]! : await zipFiles(files);
    const found = await upload<{ id: string; notes: string[] }>("/api/cases/import", file);
    for (const note of found.notes.slice(0, 2)) toast(note);
    return found.id;
  });
  const demo = (name: string) => doing("Opening the demonstration…", async () => (await send<{ id: string }>("POST", "/api/cases", { demo: name })).id);
  const fresh = () => doing("Making a case…", async () => {
    const id = `case-${new Date().toISOString().slice(0, 16).replace(/[^0-9]/g, "")}`;
    return (await send<{ id: string }>("POST", "/api/cases", { case: { id, patient: { id: `${id}-person` }, evaluated: new Date().toISOString().slice(0, 10) } })).id;
  });
  const toTrash = async (row: CaseRow) => {
    try {
      await send("DELETE", casePath(row.id));
      page.again();
      toast(`“${row.title || row.id}” is in the trash.`, { label: "Undo", run: () => void send("POST", casePath(row.id, "restore")).then(page.again) });
    } catch (error) {
      toast(told(error));
    }
  };
  const restore = async (row: CaseRow) => {
    await send("POST", casePath(row.id, "restore"));
    page.again();
  };
  const rows = page.value?.rows ?? [];
  return (
    <>
      <header class="top">
        <div class="who">
          <a class="brand" href="#/"><img src="/static/icon.svg" alt="" />neurolysis</a>
          <span class="grow" />
          <span class="muted small">{session.user}{session.mode === "accounts" ? `, ${session.role}` : ", single-user mode"}</span>
          <ThemeButton />
          {session.mode === "accounts" && <button class="plain" onClick={() => void send("DELETE", "/api/session").then(() => window.location.reload())}>Sign out</button>}
        </div>
      </header>
      <main>
        <div class="row between">
          <h1>Cases</h1>
          <button class="main" onClick={() => void fresh()} disabled={Boolean(busy)}>New case</button>
        </div>
        <Import onFiles={(files) => void bring(files)} busy={busy} />
        {problem && <Trouble error={problem} />}
        <section class="panel stack" aria-label="Demonstrations">
          <h2>Demonstrations</h2>
          <p class="muted small">Real images or models, invented people. One click makes a copy that is yours to change.</p>
          <div class="row">{catalogue.demos.map((one) => <button key={one.name} onClick={() => void demo(one.name)} disabled={Boolean(busy)}>{one.title}</button>)}</div>
        </section>
        <section class="panel stack" aria-label="List of cases">
          <div class="row between">
            <div class="row grow">
              <div class="search"><TextField label="Search" type="search" value={query} onChange={setQuery} placeholder="Title, patient, nerve" /></div>
              <Choices legend="State" value={state} options={[{ value: "", label: "All" }, ...STATES.map((one) => ({ value: one, label: one }))]} onChange={(one) => { setState(one); setOffset(0); }} />
            </div>
            <button class="plain" aria-pressed={trash} onClick={() => { setTrash(!trash); setOffset(0); }}>{trash ? "Back to the cases" : "Trash"}</button>
          </div>
          {page.error ? <Trouble error={page.error} retry={page.again} /> : rows.length ? (
            <div class="scroll">
              <table class="cases">
                <caption class="hidden">Cases</caption>
                <thead><tr><th>Case</th><th>Patient</th><th>Target</th><th>State</th><th>Changed</th><th><span class="hidden">Actions</span></th></tr></thead>
                <tbody>{rows.map((row) => <Row row={row} key={row.id} trash={trash} onTrash={() => void toTrash(row)} onRestore={() => void restore(row)} />)}</tbody>
              </table>
            </div>
          ) : !page.loading && <Nothing asked={asked || state} trash={trash} />}
          {page.value && page.value.total > PAGE && (
            <div class="row">
              <button disabled={offset === 0} onClick={() => setOffset(Math.max(0, offset - PAGE))}>Earlier</button>
              <span class="muted">{offset + 1} to {Math.min(offset + PAGE, page.value.total)} of {page.value.total}</span>
              <button disabled={offset + PAGE >= page.value.total} onClick={() => setOffset(offset + PAGE)}>Next</button>
            </div>
          )}
        </section>
      </main>
    </>
  );
}

function Row(props: { row: CaseRow; trash: boolean; onTrash: () => void; onRestore: () => void }) {
  const { row } = props;
  const place = [plain(row.nerve), row.side, row.level].filter(Boolean).join(", ");
  return (
    <tr>
      <td>{props.trash ? row.title || row.id : <a href={`#/case/${encodeURIComponent(row.id)}/evaluate`}>{row.title || row.id}</a>} {row.demonstration && <Tag>demonstration</Tag>}</td>
      <td>{row.patient_name || row.patient_id}</td>
      <td>{place || <span class="muted">no target yet</span>}</td>
      <td><Tag kind={row.state === "follow-up due" ? "bad" : row.state === "approved" ? "good" : ""}>{row.state}</Tag></td>
      <td class="muted">{moment(row.updated_at)}</td>
      <td class="number">{props.trash
        ? <button class="plain" onClick={props.onRestore}>Restore</button>
        : <button class="plain" onClick={props.onTrash} aria-label={`Put ${row.title || row.id} into the trash`}>Trash</button>}
      </td>
    </tr>
  );
}

function Nothing(props: { asked: string; trash: boolean }) {
  if (props.trash) return <Empty title="The trash is empty"><p class="muted">Cases put here can be restored.</p></Empty>;
  if (props.asked) return <Empty title="No case fits"><p>Take words out of the search, or choose another state.</p></Empty>;
  return <Empty title="No cases yet"><p>Drop a folder or ZIP of DICOM, a FHIR bundle or a case above; or open a demonstration to look round.</p></Empty>;
}

function Import(props: { onFiles: (files: File[]) => void; busy: string }) {
  const [over, setOver] = useState(false);
  const file = useRef<HTMLInputElement>(null);
  const folder = useRef<HTMLInputElement>(null);
  useEffect(() => folder.current?.setAttribute("webkitdirectory", ""), []);
  const take = (list: FileList | null) => { if (list?.length) props.onFiles([...list]); };
  return (
    <section
      class={`drop ${over ? "over" : ""}`}
      aria-label="Import"
      onDragOver={(event) => { event.preventDefault(); setOver(true); }}
      onDragLeave={() => setOver(false)}
      onDrop={(event) => { event.preventDefault(); setOver(false); void readDropped(event.dataTransfer).then((files) => files.length && props.onFiles(files)); }}
    >
      <div class="grow">
        <h2>Import</h2>
        <p class="muted small">Drop a folder or ZIP of DICOM, a FHIR bundle (JSON), a case folder or an exported case here.</p>
      </div>
      {props.busy && <span role="status">{props.busy}</span>}
      <input ref={file} type="file" class="hidden" tabIndex={-1} aria-label="File to import" onChange={(event) => { take(event.currentTarget.files); event.currentTarget.value = ""; }} />
      <input ref={folder} type="file" class="hidden" tabIndex={-1} aria-label="Folder to import" onChange={(event) => { take(event.currentTarget.files); event.currentTarget.value = ""; }} />
      <button disabled={Boolean(props.busy)} onClick={() => file.current?.click()}>Choose a file</button>
      <button disabled={Boolean(props.busy)} onClick={() => folder.current?.click()}>Choose a folder</button>
    </section>
  );
}
