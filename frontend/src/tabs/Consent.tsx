// The patient's consent: a record beside the case, with every version kept.
import { casePath } from "../model/api.ts";
import { useDocument } from "../model/document.ts";
import type { CaseStore } from "../model/store.ts";
import { day, moment, today } from "../model/words.ts";
import type { Work } from "../pages/context.ts";
import { toast } from "../parts/toast.tsx";
import { Choices, Panel, SelectField, TextField, Trouble } from "../parts/ui.tsx";

export interface Consent {
  schema_version: 1;
  case_id: string;
  given?: boolean | null;
  signed_on?: string | null;
  by?: string;
  language?: string;
  document?: string;
  revoked_on?: string | null;
  notes?: string;
}

/** What keeps this from being a consent that others can rely on; empty where nothing does. */
export function consentGaps(one: Consent, now = today()): string[] {
  const gaps: string[] = [];
  if (one.given === null || one.given === undefined) return gaps;
  if (!one.signed_on) gaps.push("the day");
  else if (one.signed_on > now) gaps.push(`a day that has come: ${day(one.signed_on)} lies ahead`);
  if (!one.by?.trim()) gaps.push("who took it");
  if (!one.language?.trim()) gaps.push("the language");
  if (one.revoked_on && one.signed_on && one.revoked_on < one.signed_on) gaps.push(`a day of taking back not before ${day(one.signed_on)}`);
  return gaps;
}

const LANGUAGES = ["en", "de", "fr", "es", "it", "pl", "tr", "ar", "ru", "uk"];

function languageName(code: string): string {
  try {
    return new Intl.DisplayNames(["en"], { type: "language" }).of(code) ?? code;
  } catch {
    return code;
  }
}

export function ConsentPanel({ store, work }: { store: CaseStore; work: Work }) {
  const id = store.loaded.id;
  const { doc, error } = useDocument<Consent>(store, "consent", { schema_version: 1, case_id: id });
  if (error) return <Panel title="Consent"><Trouble error={error} /></Panel>;
  if (!doc) return <Panel title="Consent"><p class="muted" role="status">Reading the consent…</p></Panel>;
  const one = doc.value;
  const set = <K extends keyof Consent>(key: K) => (value: Consent[K]) => doc.edit((found) => { found[key] = value; });
  const gaps = consentGaps(one);
  const state = one.given === true ? "given" : one.given === false ? "refused" : "unknown";
  const save = async () => {
    if (await doc.save()) { toast(`The consent is saved, version ${doc.version}.`); work.touched(); }
  };
  const choose = (value: string) => doc.edit((found) => {
    found.given = value === "given" ? true : value === "refused" ? false : null;
    if (!found.given) found.revoked_on = null;
  });
  const codes = [...new Set([...LANGUAGES, ...(one.language ? [one.language] : [])])];
  return (
    <Panel title="Consent" note={doc.version ? `Version ${doc.version}, ${moment(doc.savedAt)}, ${doc.savedBy}.` : "Nothing is written yet."} actions={<><a href={`${casePath(id, "decision-aid")}?format=html&language=en`} target="_blank" rel="noopener">Decision aid</a><button class="main" disabled={!doc.unsaved || doc.busy || gaps.length > 0} onClick={() => void save()}>Save the consent</button></>}>
      <div class="stack">
        {doc.note && <p class="notice warn" role="alert"><strong>Saved meanwhile</strong>{doc.note}</p>}
        {doc.problem && <Trouble error={doc.problem} />}
        <Choices legend="To the treatment" value={state} options={[{ value: "given", label: "Given" }, { value: "refused", label: "Refused" }, { value: "unknown", label: "Not asked" }]} onChange={choose} />
        {state !== "unknown" && (
          <div class="fields">
            <TextField label={state === "given" ? "Signed on" : "Refused on"} type="date" value={one.signed_on ?? ""} onChange={(value) => set("signed_on")(value || null)} />
            <TextField label="Taken by" value={one.by ?? ""} onChange={set("by")} />
            <SelectField label="Language of the talk" empty="not said" value={one.language ?? ""} options={codes.map((code) => ({ value: code, label: languageName(code) }))} onChange={set("language")} />
            <TextField label="Paper or file, kept elsewhere" value={one.document ?? ""} onChange={set("document")} />
            {state === "given" && <TextField label="Taken back on" type="date" value={one.revoked_on ?? ""} onChange={(value) => set("revoked_on")(value || null)} />}
          </div>
        )}
        <TextField label="Notes on the consent" value={one.notes ?? ""} onChange={set("notes")} />
        {gaps.length > 0 && <p class="small muted" role="status">Still needed: {gaps.join("; ")}.</p>}
        {doc.unsaved && !gaps.length && <p class="small muted" role="status">Not saved yet{doc.draftedAt ? `; a draft is kept, ${moment(doc.draftedAt)}` : ""}.</p>}
      </div>
    </Panel>
  );
}
