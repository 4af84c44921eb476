// What stands behind a figure or a rule: the citation where the server gave it, else the text as it is.
import { createContext } from "preact";
import { useContext } from "preact/hooks";

/** Citations by source id, as the answer that named the ids gave them. */
export const Citations = createContext<Record<string, string>>({});

/** Several sources, each citation once: two rows of one table are one source to a reader. */
export function Sources({ ids }: { ids: readonly string[] }) {
  const known = useContext(Citations);
  const once = new Map(ids.map((id) => [known[id] ?? id, id]));
  return <>{[...once].map(([citation, id]) => <div class="small muted" key={id} title={ids.filter((one) => (known[one] ?? one) === citation).join(", ")}>{citation}</div>)}</>;
}

export function Source({ text }: { text: string }) {
  const citation = useContext(Citations)[text];
  return citation ? <span title={`Source ${text}`}>{citation}</span> : <>{text}</>;
}
