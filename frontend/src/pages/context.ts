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

export function useViewer(viewer: ViewerState): ViewerState {
  const [, redraw] = useState(0);
  useEffect(() => viewer.watch(() => redraw((n) => n + 1)), [viewer]);
  return viewer;
}
