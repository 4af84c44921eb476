// A needle path the search offers, and the needle laid on it.
import type { Placement, Point } from "../model/types.ts";
import { add, rounded, scale } from "../viewer/geometry.ts";

export interface Chance {
  value: number;
  low: number;
  high: number;
}

export interface Clearance {
  name: string;
  kind: string;
  gap_mm: number;
  depth_mm: number;
  touched: Chance | null;
}

/** One path as the program's own model gives it; the direction points from the tip to the hub. */
export interface Offer {
  rank: number;
  tip_mm: Point;
  entry_mm: Point;
  direction_to_hub: Point;
  length_mm: number;
  angle_deg: number | null;
  slack_mm: number;
  clearances: Clearance[];
  met: Chance | null;
  reach_mm: number | null;
}

const TOWARDS_MM = 100;

/** The path is judged for one instrument, so the needle is that one. */
export function placementOf(offer: Offer, instrument: string): Placement {
  return { instrument, tip_mm: rounded(offer.tip_mm), towards_hub_mm: rounded(add(offer.tip_mm, scale(offer.direction_to_hub, TOWARDS_MM))) };
}

/** Lays needle number `index` on a path and leaves the others; an index past the last adds a needle. */
export function withPath(placements: readonly Placement[], path: Placement, index: number): Placement[] {
  const next = [...placements];
  next[Math.min(index, placements.length)] = { ...placements[index], ...path };
  return next;
}
