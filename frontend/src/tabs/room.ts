// The record of the room, with the fields of the program's own model.
import type { Json, Side } from "../model/types.ts";

export interface Given {
  kind: string;
  start: string;
  technique: string;
  instrument: string;
  needle: number;
  side?: Side | null;
  level?: string | null;
  agent?: string;
  volume_ml?: number | null;
  aspiration?: string | null;
  contrast_pattern?: string | null;
  impedance_ohm?: number | null;
  duration_s?: number | null;
  peak_temperature_c?: number | null;
  settings?: Record<string, Json>;
  aborted?: boolean;
  abort_reason?: string;
  note?: string;
  [more: string]: unknown;
}

export interface Tested {
  time: string;
  needle: number;
  sensory_threshold_v?: number | null;
  sensory_where_the_pain_is?: boolean | null;
  motor_threshold_v?: number | null;
  motor_none_up_to_v?: number | null;
  motor_of_limb?: boolean | null;
  impedance_ohm?: number | null;
}

export interface TimeOut {
  time?: string | null;
  led_by?: string;
  identifiers?: { kind: string; matches: boolean | null }[];
  side?: Side | null;
  side_marked?: boolean | null;
  level?: string | null;
  consent?: boolean | null;
  allergies_read?: boolean | null;
  allergies?: string[] | null;
  anticoagulant?: string | null;
  implant?: string | null;
}

export interface Room {
  schema_version: 1;
  case_id: string;
  plan_number?: number | null;
  plan_hash?: string | null;
  operator?: string;
  assistants?: string[];
  started?: string | null;
  ended?: string | null;
  time_out?: TimeOut;
  sedation?: string | null;
  pain_before?: number | null;
  systolic_before_mmhg?: number | null;
  agents?: { name: string; purpose: string; strength?: string; lot?: string; expires?: string | null; checked_by?: string }[];
  stimulation?: Tested[];
  steps?: Given[];
  views?: { kind: string; name: string; time?: string | null; lao_deg?: number | null; cranial_deg?: number | null; kept?: boolean | null; shows?: string }[];
  radiation?: { fluoroscopy_s?: number | null; dose_area_product_gy_cm2?: number | null; air_kerma_mgy?: number | null };
  abort?: { time?: string | null; reason: string; decided_by?: string } | null;
  checks?: { time: string; strength?: string | null; feeling?: string | null; bladder?: string | null; examined_by?: string; note?: string }[];
  signed_by?: string;
  remarks?: string;
  [more: string]: unknown;
}

export interface RoomProps {
  room: Room;
  edit: (change: (room: Room) => void) => void;
}

/** Seconds on the clock, so that what follows within a minute keeps its order. */
export function now(): string {
  const date = new Date();
  return `${date.getFullYear()}-${String(date.getMonth() + 1).padStart(2, "0")}-${String(date.getDate()).padStart(2, "0")}T${date.toTimeString().slice(0, 8)}`;
}
