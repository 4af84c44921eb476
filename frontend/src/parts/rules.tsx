// Reasons with their sources, the way every step gives them.
import { capital } from "../model/words.ts";
import { Source } from "./source.tsx";

export interface Reason {
  id: string;
  message: string;
  severity: string;
  source: string;
  would_change?: string;
  grade?: string;
}

const WORDS: Record<string, string> = { for: "For", against: "Against", condition: "Condition", missing: "Missing", stop: "Stop", contraindication: "Not to be done", relative: "Careful" };

export function Reasons(props: { reasons: readonly Reason[] }) {
  return (
    <ul class="notices">
      {props.reasons.map((one, k) => (
        <li class={`notice ${kind(one.severity)}`} key={`${one.id}${k}`}>
          <strong>{WORDS[one.severity] ?? capital(one.severity)}</strong>
          {one.message}
          {one.would_change && <div>Would change it: {one.would_change}</div>}
          <div class="source"><Source text={one.source} /></div>
        </li>
      ))}
    </ul>
  );
}

function kind(severity: string): string {
  if (severity === "for" || severity === "supports") return "for";
  if (severity === "against" || severity === "stop" || severity === "contraindication" || severity === "red flag") return "stop";
  return severity === "missing" || severity === "condition" || severity === "relative" ? "warn" : "";
}
