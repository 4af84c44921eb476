// What stands behind a figure or a rule: the citation where the server gave it, else the text as it is.
import { createContext } from "preact";
import { useContext } from "preact/hooks";

/** Citations by source id, as the answer that named the ids gave them. */
export const Citations = createContext<Record<string, string>>({});

export function Source({ text }: { text: string }) {
  const citation = useContext(Citations)[text];
  return citation ? <span title={`Source ${text}`}>{citation}</span> : <>{text}</>;
}
