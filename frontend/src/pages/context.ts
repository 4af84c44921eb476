import { createContext } from "preact";
import { useContext, useEffect, useState } from "preact/hooks";
import type { CaseStore } from "../model/store.ts";
import type { Catalogue, Session } from "../model/types.ts";
import type { ViewerState } from "../viewer/state.ts";

export interface Around {
  session: Session;
  catalogue: Catalogue;
}

/** Who is signed in and what there is to choose from. */
export const World = createContext<Around>(null as unknown as Around);

export function useWorld(): Around {
  return useContext(World);
}

/** What a tab gets: the case, the viewer, and a way to run the simulation. */
export interface TabProps {
  store: CaseStore;
  viewer: ViewerState;
  work: Work;
}

export interface Work {
  /** Save, then simulate the saved version. */
  simulate: () => Promise<void>;
  /** Grows whenever plans, approval or documents may have changed on the server. */
  stamp: number;
  touched: () => void;
}

/** Draw again whenever the case changes. */
export function useStore(store: CaseStore): CaseStore {
  const [, redraw] = useState(0);
  useEffect(() => store.watch(() => redraw((n) => n + 1)), [store]);
  return store;
}

/** Draw again when the viewer changes; with `pick` only when one of the picked parts is another. */
export function useViewer(viewer: ViewerState, pick?: (viewer: ViewerState) => readonly unknown[]): ViewerState {
  const [, redraw] = useState(0);
  useEffect(() => {
    let last = pick?.(viewer) ?? [];
    return viewer.watch(() => {
      const now = pick?.(viewer);
      if (now && now.every((part, k) => part === last[k])) return;
      last = now ?? [];
      redraw((n) => n + 1);
    });
  }, [viewer]);
  return viewer;
}

/** The parts that a whole tab depends on; where one looks and where the needle is held are not among them. */
export function tabParts(viewer: ViewerState): readonly unknown[] {
  return [viewer.volume, viewer.scene, viewer.preview, viewer.loading, viewer.problem, viewer.previewProblem, viewer.live === null];
}
