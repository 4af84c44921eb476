// The case being worked on: what the server holds, what was typed since, and how the two meet again.
import { ApiError, casePath, get, send, told } from "./api.ts";
import { changedKeys, merge, type Merge } from "./merge.ts";
import type { Case, Draft, LoadedCase } from "./types.ts";

const AUTOSAVE_MS = 700;

export type SaveState = "saved" | "unsaved" | "saving" | "conflict";

export interface Conflict {
  theirs: LoadedCase;
  merge: Merge;
}

/** A name of this tab that survives a reload, so that two tabs never write one draft. */
function tabName(): string {
  const known = sessionStorage.getItem("neurolysis-tab");
  if (known) return known;
  const made = Array.from(crypto.getRandomValues(new Uint8Array(6)), (byte) => byte.toString(16).padStart(2, "0")).join("");
  sessionStorage.setItem("neurolysis-tab", made);
  return made;
}

export class CaseStore {
  mine: Case;
  state: SaveState = "saved";
  draftedAt: Date | null = null;
  draftProblem = "";
  conflict: Conflict | null = null;
  /** Drafts of other tabs, or of a tab that was closed. */
  strays: { kind: string; draft: Draft }[] = [];
  private past: { value: Case; label: string }[] = [];
  private timer = 0;
  private writing: Promise<void> = Promise.resolve();
  /** This tab, in the names of its drafts. */
  readonly tab = tabName();
  private readonly kind = `case-${this.tab}`;
  private readonly others = new Set<string>();
  private readonly watchers = new Set<() => void>();

  private constructor(public loaded: LoadedCase) {
    this.mine = loaded.case;
  }

  /** Read a case, and with it what was typed and not saved. */
  static async open(id: string): Promise<CaseStore> {
    const store = new CaseStore(await get<LoadedCase>(casePath(id)));
    const kinds = new Set(Object.keys(store.loaded.draft ?? {}).filter((kind) => kind.startsWith("case-")));
    kinds.add(store.kind);
    for (const kind of kinds) {
      const draft = await get<Draft>(casePath(id, `draft/${kind}`));
      if (draft.data?.case) await store.takeDraft(kind, draft);
    }
    return store;
  }

  watch(watcher: () => void): () => void {
    this.watchers.add(watcher);
    return () => this.watchers.delete(watcher);
  }

  private tell(): void {
    for (const watcher of this.watchers) watcher();
  }

  get unsaved(): boolean {
    return this.state !== "saved";
  }

  /** What differs from the saved version, in words of the case file. */
  get changed(): string[] {
    return changedKeys(this.loaded.case, this.mine);
  }

  /** Records beside the case that hold something unsaved. */
  get othersUnsaved(): string[] {
    return [...this.others];
  }

  setOther(name: string, unsaved: boolean): void {
    if (this.others.has(name) === unsaved) return;
    if (unsaved) this.others.add(name); else this.others.delete(name);
    this.tell();
  }

  get undoLabel(): string {
    return this.past.at(-1)?.label ?? "";
  }

  /** Change the case; `label` names the step for undo. Steps of one label within a moment count as one. */
  edit(label: string, change: (draft: Case) => void): void {
    const next = structuredClone(this.mine);
    change(next);
    if (JSON.stringify(next) === JSON.stringify(this.mine)) return;
    if (this.past.at(-1)?.label !== label || !this.timer) this.past.push({ value: this.mine, label });
    if (this.past.length > 100) this.past.shift();
    this.become(next);
  }

  undo(): void {
    const step = this.past.pop();
    if (step) this.become(step.value);
  }

  private become(next: Case): void {
    this.mine = next;
    if (this.state !== "conflict") this.state = this.changed.length ? "unsaved" : "saved";
    window.clearTimeout(this.timer);
    this.timer = window.setTimeout(() => void this.keepDraft(), AUTOSAVE_MS);
    this.tell();
  }

  /** Write what was typed as a draft now; drafts are kept one after the other. */
  keepDraft(): Promise<void> {
    window.clearTimeout(this.timer);
    this.timer = 0;
    this.writing = this.writing.then(() => this.writeDraft());
    return this.writing;
  }

  private async writeDraft(): Promise<void> {
    const path = casePath(this.loaded.id, `draft/${this.kind}`);
    try {
      if (this.state === "saved") {
        if (this.draftedAt) await send("DELETE", path);
        this.draftedAt = null;
      } else {
        const now = new Date();
        await send("PUT", path, { base_version: this.loaded.version, case: this.mine, saved_at: now.toISOString() });
        this.draftedAt = now;
      }
      this.draftProblem = "";
    } catch (error) {
      this.draftProblem = told(error);
    }
    this.tell();
  }

  private async takeDraft(kind: string, draft: Draft): Promise<void> {
    if (!changedKeys(this.loaded.case, draft.data.case).length) return;
    if (kind === this.kind) await this.resume(draft);
    else this.strays.push({ kind, draft });
  }

  private async resume(draft: Draft): Promise<void> {
    this.mine = draft.data.case;
    this.draftedAt = new Date(draft.data.saved_at);
    this.state = "unsaved";
    if (draft.data.base_version !== this.loaded.version) await this.meet(draft.data.base_version);
  }

  /** Work on with a draft of another tab. */
  async adopt(kind: string): Promise<void> {
    const stray = this.strays.find((one) => one.kind === kind);
    if (!stray) return;
    this.strays = this.strays.filter((one) => one !== stray);
    this.past.push({ value: this.mine, label: "take over a draft" });
    await this.resume(stray.draft);
    await this.keepDraft();
    await send("DELETE", casePath(this.loaded.id, `draft/${kind}`));
    this.tell();
  }

  async dropStray(kind: string): Promise<void> {
    await send("DELETE", casePath(this.loaded.id, `draft/${kind}`));
    this.strays = this.strays.filter((one) => one.kind !== kind);
    this.tell();
  }

  /** Save as a new version. True where it was saved; else `conflict` or the thrown error says why not. */
  async save(reason = ""): Promise<boolean> {
    window.clearTimeout(this.timer);
    this.timer = 0;
    if (this.state === "saved") return true;
    if (this.state === "conflict") return false;
    this.state = "saving";
    this.tell();
    const sent = this.mine;
    try {
      const body = reason ? { case: sent, reason } : { case: sent };
      await send("PUT", casePath(this.loaded.id), body, this.loaded.version);
    } catch (error) {
      this.state = "unsaved";
      if (error instanceof ApiError && error.status === 409) {
        await this.keepDraft();
        await this.meet(this.loaded.version);
        return false;
      }
      this.tell();
      throw error;
    }
    await this.refresh(sent);
    return true;
  }

  /** Take the server's version as the base; what was typed while saving stays. */
  private async refresh(sent: Case): Promise<void> {
    const fresh = await get<LoadedCase>(casePath(this.loaded.id));
    const typedSince = this.mine !== sent;
    this.loaded = fresh;
    if (!typedSince) this.mine = fresh.case;
    this.state = changedKeys(fresh.case, this.mine).length ? "unsaved" : "saved";
    await this.keepDraft();
    this.tell();
  }

  /** Read the server's state of an unchanged case again (after a plan, an approval, a job). */
  async reload(): Promise<void> {
    const fresh = await get<LoadedCase>(casePath(this.loaded.id));
    if (fresh.version !== this.loaded.version && this.unsaved) return this.meet(this.loaded.version);
    this.loaded = fresh;
    if (!this.unsaved) this.mine = fresh.case;
    this.tell();
  }

  /** Somebody saved meanwhile: read theirs and what both began from, and lay the two together. */
  private async meet(baseVersion: number): Promise<void> {
    const theirs = await get<LoadedCase>(casePath(this.loaded.id));
    const base = await this.versionOf(baseVersion);
    this.conflict = { theirs, merge: merge(base, this.mine, theirs.case) };
    this.state = "conflict";
    this.tell();
  }

  private async versionOf(version: number): Promise<Case> {
    try {
      return (await get<LoadedCase>(`${casePath(this.loaded.id)}?version=${version}`)).case;
    } catch {
      return this.loaded.case;
    }
  }

  /** Settle a conflict: `mineFor` names the fields where both changed and mine is kept. */
  async settle(mineFor: ReadonlySet<string>): Promise<void> {
    if (!this.conflict) return;
    const { theirs, merge: found } = this.conflict;
    const settled = structuredClone(found.merged) as Record<string, unknown>;
    for (const key of found.both) {
      const source = (mineFor.has(key) ? this.mine : theirs.case) as Record<string, unknown>;
      if (key in source) settled[key] = source[key];
      else delete settled[key];
    }
    this.past.push({ value: this.mine, label: "settle the conflict" });
    this.loaded = theirs;
    this.mine = settled as unknown as Case;
    this.conflict = null;
    this.state = this.changed.length ? "unsaved" : "saved";
    await this.keepDraft();
    this.tell();
  }
}
