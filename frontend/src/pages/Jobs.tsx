// A running simulation: its progress by server-sent events, which go on after a reload or a lost connection.
import { useCallback, useEffect, useState } from "preact/hooks";
import { get, sentence, send, told } from "../model/api.ts";
import type { Job } from "../model/types.ts";
import { capital } from "../model/words.ts";
import { toast } from "../parts/toast.tsx";

const LIVE = new Set(["queued", "running", "cancelling"]);

/** The newest job of a case that still matters, and a way to follow another. */
export function useJob(caseId: string, onEnd: () => void): [Job | null, (job: Job | null) => void] {
  const [job, setJob] = useState<Job | null>(null);
  const follow = useCallback((one: Job | null) => setJob(one), []);
  useEffect(() => {
    get<Job[]>(`/api/jobs?case=${encodeURIComponent(caseId)}`)
      .then((jobs) => { const live = jobs.find((one) => LIVE.has(one.state)); if (live) setJob(live); })
      .catch(() => undefined);
  }, [caseId]);
  const id = job && LIVE.has(job.state) ? job.job_id : null;
  useEffect(() => {
    if (!id) return;
    const stream = new EventSource(`/api/jobs/${id}/events`);
    const take = (event: MessageEvent<string>) => {
      try {
        const data = JSON.parse(event.data) as Partial<Job>;
        setJob((old) => (old && old.job_id === id ? { ...old, ...data, job_id: id } : old));
        if (data.state && !LIVE.has(data.state)) end();
      } catch { /* a comment or a ping */ }
    };
    const end = () => {
      stream.close();
      window.clearInterval(poll);
      get<Job>(`/api/jobs/${id}`).then((last) => {
        setJob(last);
        if (last.state === "done") toast(`Plan ${last.plan_number ?? ""} is ready.`);
        onEnd();
      }).catch((error: unknown) => toast(told(error)));
    };
    stream.onmessage = take;
    for (const kind of ["progress", "state", "end", "done", "failed", "cancelled"]) stream.addEventListener(kind, take as EventListener);
    const poll = window.setInterval(() => {
      get<Job>(`/api/jobs/${id}`).then((now) => { setJob((old) => (old?.job_id === id ? now : old)); if (!LIVE.has(now.state)) end(); }).catch(() => undefined);
    }, 5000);
    return () => { stream.close(); window.clearInterval(poll); };
  }, [id]);
  return [job, follow];
}

export function JobPanel(props: { job: Job; onClose: () => void; onAgain: () => void }) {
  const { job } = props;
  const running = LIVE.has(job.state);
  if (job.state === "done") return null;
  const cancel = () => { send("DELETE", `/api/jobs/${job.job_id}`).catch((error: unknown) => toast(told(error))); };
  const why = job.error?.problem ? sentence({ type: "", problem: job.error.problem, where: job.error.where ?? "", found: job.error.found, allowed: job.error.allowed }) : job.message;
  return (
    <section class="panel stack tight" aria-label="Simulation">
      <div class="row between">
        <strong role="status">{running ? `Simulating: ${job.message || job.state}` : job.state === "failed" ? `The simulation failed. ${capital(why ?? "")}` : "The simulation was cancelled."}</strong>
        <span class="row">
          {running && job.state !== "cancelling" && <button onClick={cancel}>Cancel</button>}
          {!running && <button onClick={props.onAgain}>Run again</button>}
          {!running && <button class="plain" onClick={props.onClose}>Close</button>}
        </span>
      </div>
      {running && <progress max={1} value={job.fraction} aria-label="Progress of the simulation" />}
    </section>
  );
}
