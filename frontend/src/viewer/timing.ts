// How long drawing took, for the benchmark; old entries go, so that a long session does not fill up.

const KEPT = 600;
const counts = new Map<string, number>();

/** Note a stretch of work that began at `start` (of `performance.now()`). */
export function measured(name: string, start: number): void {
  const count = (counts.get(name) ?? 0) + 1;
  if (count > KEPT) performance.clearMeasures(name);
  counts.set(name, count > KEPT ? 1 : count);
  performance.measure(name, { start, end: performance.now() });
}
