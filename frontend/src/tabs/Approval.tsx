// Approving a plan, in the page itself: who, why, and each stop that is set aside with its reason.
import { useState } from "preact/hooks";
import { casePath, send } from "../model/api.ts";
import type { PlanStatus } from "../model/types.ts";
import { useWorld } from "../pages/context.ts";
import { toast } from "../parts/toast.tsx";
import { CheckField, Notices, Panel, TextField, Trouble } from "../parts/ui.tsx";
import type { PlanData } from "./Deliver.tsx";

export function Approval(props: { caseId: string; data: PlanData; onDone: () => void }) {
  const { session } = useWorld();
  const { status, row } = props.data;
  const [open, setOpen] = useState(false);
  const [name, setName] = useState(session.mode === "accounts" ? (session.user ?? "") : "");
  const [reason, setReason] = useState("");
  const [overrides, setOverrides] = useState<Record<string, string>>({});
  const [error, setError] = useState<unknown>(null);
  const [busy, setBusy] = useState(false);
  if (status.approved) {
    return (
      <Panel title="Approval" class="approve">
        <p><strong>{status.mark}</strong></p>
        {status.overrides.map((one, k) => <p class="notice warn" key={k}><strong>Set aside</strong>{one["code"]}: {one["reason"]}</p>)}
        {status.recheck.length > 0 && <div class="notice warn"><strong>Recheck</strong>{status.recheck.join("; ")}. Simulate again and approve the new plan.</div>}
        <p class="small muted">An approved plan never changes. Any change of the case makes a new plan, which has to be approved itself.</p>
      </Panel>
    );
  }
  const codes = [...new Map(status.open_stops.map((one) => [one.code, one])).values()];
  const can = codes.filter((one) => status.overridable.includes(one.code));
  const cannot = codes.filter((one) => !status.overridable.includes(one.code));
  const approve = async () => {
    setBusy(true);
    setError(null);
    try {
      const chosen = Object.entries(overrides).map(([code, why]) => ({ code, reason: why }));
      await send<PlanStatus>("POST", casePath(props.caseId, `plans/${row.number}/approval`), { name, reason, overrides: chosen });
      toast(`Plan ${row.number} is approved.`);
      setOpen(false);
      props.onDone();
    } catch (problem) {
      setError(problem);
    } finally {
      setBusy(false);
    }
  };
  const ready = name.trim() && reason.trim() && !cannot.length && can.every((one) => (overrides[one.code] ?? "").trim());
  return (
    <Panel title="Approval" class="approve" note={`Plan ${row.number} is a DRAFT.`} actions={!open && <button class="main" onClick={() => setOpen(true)}>Approve plan {row.number}…</button>}>
      {!open ? (
        <p class="small">{codes.length ? `${codes.length} stop${codes.length > 1 ? "s" : ""} open${cannot.length ? `; ${cannot.length} cannot be set aside` : ""}.` : "No stop is open."}{status.recheck.length ? ` Changed since it was made: ${status.recheck.join("; ")}.` : ""}</p>
      ) : (
        <form class="stack" onSubmit={(event) => { event.preventDefault(); void approve(); }}>
          {cannot.length > 0 && <><p><strong>These cannot be set aside by you. Settle them first.</strong></p><Notices notices={cannot} /></>}
          {can.map((one) => (
            <div class="notice stop stack tight" key={one.code}>
              <span><strong>Stop</strong>{one.text}</span>
              <CheckField label="Set this stop aside" value={one.code in overrides} onChange={(on) => setOverrides(on ? { ...overrides, [one.code]: "" } : Object.fromEntries(Object.entries(overrides).filter(([code]) => code !== one.code)))} />
              {one.code in overrides && <TextField label="Why (prints on page one of the report)" value={overrides[one.code] ?? ""} onChange={(text) => setOverrides({ ...overrides, [one.code]: text })} />}
            </div>
          ))}
          <TextField label="Name of the approving clinician" value={name} onChange={setName} disabled={session.mode === "accounts"} hint={session.mode === "accounts" ? "" : "The report will say: name typed, not authenticated."} />
          <TextField label="Reason for approval" long value={reason} onChange={setReason} hint="At least ten letters. It stands in the record." />
          {Boolean(error) && <Trouble error={error} />}
          <div class="row">
            <button class="main" type="submit" disabled={!ready || busy}>{busy ? "Approving…" : "Approve"}</button>
            <button type="button" onClick={() => setOpen(false)}>Not now</button>
          </div>
        </form>
      )}
    </Panel>
  );
}
