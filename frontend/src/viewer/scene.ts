// What the viewer shows besides the image: nerves, landmarks, needles, the lesion.
import { casePath, maybe } from "../model/api.ts";
import type { Point, Side } from "../model/types.ts";

export interface SceneNerve {
  name: string;
  points_mm: Point[];
  sd_mm?: number | null;
  is_target?: boolean;
}

export interface SceneLandmark {
  name: string;
  point_mm: Point;
  sd_mm?: number | null;
  picked?: boolean;
}

export interface SceneData {
  nerves: SceneNerve[];
  landmarks: SceneLandmark[];
  structures: { name: string; kind: string; review?: string }[];
  placements: { tip_mm: Point; hub_mm: Point; instrument: unknown }[];
  missing_landmarks: { name: string; find: string; side?: Side | null; needed?: boolean }[];
  target_not_found?: string;
  notes?: string[];
}

export async function readScene(caseId: string): Promise<SceneData | null> {
  return maybe<SceneData>(casePath(caseId, "scene"));
}

export interface Needle {
  tip: Point;
  hub: Point;
}

export type PlaneName = "axial" | "coronal" | "sagittal";

/** Right, down and normal of each plane; the patient's left is on the right of axial and coronal pictures. */
export const PLANES: Record<PlaneName, { right: Point; down: Point; normal: Point; letters: [string, string, string, string] }> = {
  axial: { right: [1, 0, 0], down: [0, 1, 0], normal: [0, 0, 1], letters: ["R", "L", "A", "P"] },
  coronal: { right: [1, 0, 0], down: [0, 0, -1], normal: [0, 1, 0], letters: ["R", "L", "S", "I"] },
  sagittal: { right: [0, 1, 0], down: [0, 0, -1], normal: [1, 0, 0], letters: ["A", "P", "S", "I"] },
};
