// A record beside the case (procedure, outcome): typed as a draft, saved as a version, two writers merged.
import { useEffect, useState } from "preact/hooks";
import { ApiError, casePath, get, send, told } from "./api.ts";
import { merge, same } from "./merge.ts";
import type { CaseStore } from "./store.ts";
import type { Case, Notice } from "./types.ts";

interface Answer<T> {
  version: number;
  value: T | null;
  updated_at: string | null;
  updated_by: string;
  /** What the rules of the room say to it. */
  check?: { notices?: Notice[]; citations?: Record<string, string> } | null;
}

const AUTOSAVE_MS = 700;

export class DocumentStore<T extends object> {
  value: T;
  version = 0;
  savedBy = "";
  savedAt = "";
  problem = "";
  draftedAt: Date | null = null;
  busy = false;
  note = "";
  notices: readonly Notice[] = [];
  citations: Record<string, string> = {};
  private base: T;
  private timer = 0;
  private readonly watchers = new Set<() => void>();

  private constructor(readonly store: CaseStore, readonly kind: string, empty: T) {
    this.value = this.base = empty;
  }

  static async open<T extends object>(store: CaseStore, kind: string, empty: T): Promise<DocumentStore<T>> {
    const made = new DocumentStore<T>(store, kind, empty);
    made.take(await get<Answer<T>>(casePath(store.loaded.id, kind)), empty);
    const draft = await get<{ data: { base_version: number; value: T; saved_at: string } | null }>(made.draftPath);
    if (draft.data?.value && !same(draft.data.value, made.base)) {
      made.value = draft.data.base_version === made.version ? draft.data.value : (merge(made.base as unknown as Case, draft.data.value as unknown as Case, made.base as unknown as Case).merged as unknown as T);
      made.draftedAt = new Date(draft.data.saved_at);
    }
    made.tell();
    return made;
  }

  private get draftPath(): string {
    return casePath(this.store.loaded.id, `draft/${this.kind}-${this.store.tab}`);
  }

  private take(answer: Answer<T>, empty: T): void {
    this.version = answer.version;
    this.base = answer.value ?? empty;
    this.value = this.base;
    this.savedAt = answer.updated_at ?? "";
    this.savedBy = answer.updated_by;
    this.notices = answer.check?.notices ?? [];
    this.citations = answer.check?.citations ?? {};
  }

  get unsaved(): boolean {
    return !same(this.value, this.base);
  }

  watch(watcher: () => void): () => void {
    this.watchers.add(watcher);
    return () => this.watchers.delete(watcher);
  }

  private tell(): void {
    this.store.setOther(this.kind, this.unsaved);
    for (const watcher of this.watchers) watcher();
  }

  edit(change: (draft: T) => void): void {
    const next = structuredClone(this.value);
    change(next);
    this.put(next);
  }

  put(value: T): void {
    this.value = value;
    this.problem = "";
    window.clearTimeout(this.timer);
    this.timer = window.setTimeout(() => void this.keepDraft(), AUTOSAVE_MS);
    this.tell();
  }

  async keepDraft(): Promise<void> {
    try {
      if (this.unsaved) {
        const now = new Date();
        await send("PUT", this.draftPath, { base_version: this.version, value: this.value, saved_at: now.toISOString() });
        this.draftedAt = now;
      } else {
        if (this.draftedAt) await send("DELETE", this.draftPath);
        this.draftedAt = null;
      }
    } catch (error) {
      this.problem = `draft not kept: ${told(error)}`;
    }
    this.tell();
  }

  async save(): Promise<boolean> {
    window.clearTimeout(this.timer);
    this.busy = true;
    this.note = "";
    this.tell();
    try {
      const sent = this.value;
      const answer = await send<Answer<T>>("PUT", casePath(this.store.loaded.id, this.kind), { value: sent }, this.version);
      const typed = this.value === sent ? null : this.value;
      this.take(answer, sent);
      if (typed) this.value = typed;
      this.problem = "";
      await this.keepDraft();
      return true;
    } catch (error) {
      if (error instanceof ApiError && error.status === 409) await this.meet();
      else this.problem = told(error);
      return false;
    } finally {
      this.busy = false;
      this.tell();
    }
  }

  /** Somebody saved meanwhile: their fields come in, mine stay where I changed them; nothing is saved yet. */
  private async meet(): Promise<void> {
    const theirs = await get<Answer<T>>(casePath(this.store.loaded.id, this.kind));
    const found = merge(this.base as unknown as Case, this.value as unknown as Case, (theirs.value ?? this.base) as unknown as Case);
    const mine = this.value as Record<string, unknown>;
    const settled = found.merged as unknown as Record<string, unknown>;
    for (const key of found.both) settled[key] = mine[key];
    this.take(theirs, this.base);
    this.value = settled as unknown as T;
    const words = [found.theirs.length ? `taken over from them: ${found.theirs.join(", ")}` : "", found.both.length ? `changed by both, yours is shown, theirs is kept in version ${theirs.version}: ${found.both.join(", ")}` : ""].filter(Boolean).join("; ");
    this.note = `${theirs.updated_by} saved version ${theirs.version} meanwhile. ${words ? `Now together: ${words}. ` : ""}Look it over and save again.`;
    await this.keepDraft();
  }
}

export function useDocument<T extends object>(store: CaseStore, kind: string, empty: T): { doc: DocumentStore<T> | null; error: unknown } {
  const [doc, setDoc] = useState<DocumentStore<T> | null>(null);
  const [error, setError] = useState<unknown>(null);
  const [, redraw] = useState(0);
  useEffect(() => { DocumentStore.open<T>(store, kind, empty).then(setDoc).catch(setError); }, [store, kind]);
  useEffect(() => doc?.watch(() => redraw((n) => n + 1)), [doc]);
  return { doc, error };
}
