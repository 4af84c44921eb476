// Messages that come and go, with an undo where something was taken away.
import { useEffect, useState } from "preact/hooks";

interface Toast {
  id: number;
  text: string;
  action?: { label: string; run: () => void };
}

let shown: Toast[] = [];
let count = 0;
const watchers = new Set<() => void>();

function change(next: Toast[]): void {
  shown = next;
  for (const watcher of watchers) watcher();
}

export function toast(text: string, action?: Toast["action"]): void {
  const one: Toast = action ? { id: ++count, text, action } : { id: ++count, text };
  change([...shown.slice(-2), one]);
  window.setTimeout(() => change(shown.filter((other) => other.id !== one.id)), action ? 12000 : 6000);
}

export function Toasts() {
  const [, redraw] = useState(0);
  useEffect(() => {
    const watcher = () => redraw((n) => n + 1);
    watchers.add(watcher);
    return () => void watchers.delete(watcher);
  }, []);
  const close = (one: Toast) => change(shown.filter((other) => other.id !== one.id));
  return (
    <div class="toasts" role="status" aria-live="polite">
      {shown.map((one) => (
        <div class="toast" key={one.id}>
          <span>{one.text}</span>
          <span class="row">
            {one.action && <button onClick={() => { one.action?.run(); close(one); }}>{one.action.label}</button>}
            <button onClick={() => close(one)} aria-label="Close this message">✕</button>
          </span>
        </div>
      ))}
    </div>
  );
}
