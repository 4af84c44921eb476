// What the server sends and the page edits. Fields follow the models of the program; the page never
// invents one: what it does not know it shows as it came.

export type Point = [number, number, number];
export type Side = "left" | "right" | "midline";
export type Json = null | boolean | number | string | Json[] | { [key: string]: Json };

export interface Session {
  user: string | null;
  role: string | null;
  mode: "single-user" | "accounts";
  notice: string;
  version: string;
  sign_on: string | null;
}

export interface Notice {
  severity: "info" | "warn" | "stop";
  code: string;
  text: string;
  source?: string;
  overridable?: boolean;
}

export interface CaseRow {
  id: string;
  title: string;
  patient_id: string;
  patient_name?: string;
  nerve?: string | null;
  side?: Side | null;
  level?: string | null;
  technique?: string | null;
  state: string;
  version: number;
  updated_at: string;
  demonstration: boolean;
}

export interface PainArea {
  area: string;
  side?: Side | null;
  character?: string[];
  intensity?: number | null;
  since?: string | null;
  main?: boolean;
}

export interface Finding {
  kind: string;
  name: string;
  result: string;
  value?: number | null;
  unit?: string;
  side?: Side | null;
  observed?: string | null;
}

export interface Answers {
  questionnaire: string;
  answered: string;
  items: Record<string, number | null>;
}

export interface Injection {
  agent: string;
  concentration_percent?: number | null;
  concentration_mg_per_ml?: number | null;
  volume_ml: number;
  dose_mg?: number | null;
  epinephrine_mcg_per_ml?: number | null;
  purpose: string;
  site: string;
  minutes?: number;
}

export interface Placement {
  instrument: string;
  tip_mm: Point;
  towards_hub_mm: Point;
  rotation_deg?: number;
  role?: string;
}

export interface Treatment {
  technique: string;
  protocol: Record<string, Json>;
  instrument?: string | null;
  generator?: string | null;
  placements?: Placement[];
  [more: string]: unknown;
}

export interface Landmark {
  name: string;
  side?: Side | null;
  point_mm: Point;
  position_sd_mm?: number | null;
  picked_by?: string;
  reviewed?: boolean;
}

export interface Case {
  id: string;
  title?: string;
  demonstration?: boolean;
  evaluated?: string | null;
  patient: {
    id: string;
    birth_year?: number | null;
    sex?: string;
    weight_kg?: number | null;
    weight_date?: string | null;
    height_cm?: number | null;
    pregnant?: boolean | null;
  };
  complaint?: string;
  conditions?: string[];
  condition?: string | null;
  pain?: PainArea[];
  findings?: Finding[];
  medications?: { name: string; dose?: string; [more: string]: unknown }[];
  medications_complete?: boolean | null;
  allergies?: string[] | null;
  implants?: { name: string; electronic: boolean; [more: string]: unknown }[] | null;
  questionnaires?: Answers[];
  scores?: Score[];
  blocks?: Block[];
  image?: { path: string; modality?: string; [more: string]: unknown } | null;
  landmarks?: Landmark[];
  target?: {
    nerve: string;
    side: Side;
    bony_level?: string | null;
    joint?: string | null;
    level_counted?: string | null;
    transitional_vertebra?: boolean | null;
  } | null;
  anaesthesia?: {
    injections?: Injection[];
    sedation?: string | null;
    escort_arranged?: boolean | null;
    fasting_confirmed?: boolean | null;
    intravenous_access?: boolean | null;
    stimulation?: boolean | null;
    order?: string[];
    lesion_minutes?: number | null;
    lesion_lasts_min?: number | null;
  } | null;
  treatment?: Treatment | null;
  notes?: string;
  [more: string]: unknown;
}

export interface Draft {
  data: { base_version: number; case: Case; saved_at: string };
}

export interface LoadedCase {
  id: string;
  version: number;
  state: string;
  updated_at: string;
  updated_by: string;
  case: Case;
  files?: Record<string, string>;
  stops?: Notice[];
  approval?: Record<string, unknown> | null;
  /** This user's drafts of the case, by kind. */
  draft?: Record<string, unknown> | null;
}

export interface Choice {
  id: string;
  title: string;
}

export interface Schema {
  type?: string;
  title?: string;
  description?: string;
  default?: Json;
  const?: Json;
  enum?: Json[];
  oneOf?: Schema[];
  anyOf?: Schema[];
  /** One entry that stands for the field itself, or rules: where `if` holds, `then` holds too. */
  allOf?: Schema[];
  if?: Schema;
  then?: Schema;
  items?: Schema;
  $ref?: string;
  minimum?: number;
  maximum?: number;
  exclusiveMinimum?: number;
  exclusiveMaximum?: number;
  minLength?: number;
  properties?: Record<string, Schema>;
  required?: string[];
  $defs?: Record<string, Schema>;
}

export interface TechniqueInfo {
  name: string;
  title: string;
  protocol_schema: Schema;
  charts: { title: string; unit: string; series: [string, string][] }[];
  line_charts: { title: string; unit: string; series: [string, string][]; levels: [number, string][] }[];
  places_instrument: boolean;
  /** Which listed instruments fit, and the protocol's field with the length of the end that acts. */
  instrument: { kinds: string[]; end_field: string; key: string } | null;
}

export interface InstrumentInfo {
  id: string;
  name: string;
  kind: string;
  gauge: number;
  shape: string;
  active_tip_mm: number;
  shaft_length_mm: number;
  outer_radius_mm: { value: number };
}

export interface Score {
  instrument: string;
  total: number;
  minimum: number;
  maximum: number;
  observed?: string | null;
}

export interface Block {
  target: string;
  side: Side;
  level?: string | null;
  performed: string;
  kind: string;
  agent?: string;
  concentration_percent?: number | null;
  volume_ml?: number | null;
  baseline_pain: number;
  diary?: { hours_after: number; pain: number }[];
  steroid?: boolean | null;
  sedation?: boolean | null;
}

export interface Questionnaire {
  id: string;
  title: string;
  description?: string;
  copyright?: string;
  item: {
    linkId: string;
    text: string;
    answerOption?: { valueCoding?: { code: string; display: string; extension?: { url: string; valueDecimal?: number }[] } }[];
  }[];
}

export interface BodyView {
  title: string;
  width: number;
  middle?: number;
  half_is?: Side;
  closed?: boolean;
  flip?: boolean;
  outline: [number, number][];
  areas?: Record<string, [number, number][]>;
  middle_areas?: Record<string, [number, number][]>;
  own_areas?: Record<string, { side: Side; corners: [number, number][] }>;
  eyes?: [number, number][];
  mouth?: [number, number][];
}

export interface FindingName {
  id: string;
  title: string;
  question?: string;
  unit?: string;
}

export interface QuestionnaireInfo {
  id: string;
  title: string;
  minimum?: number;
  maximum?: number;
  licence?: string;
}

export interface Named {
  id: string;
  name: string;
}

export interface Catalogue {
  techniques: TechniqueInfo[];
  modalities: (Choice & { technique?: string; kind?: string })[];
  instruments: InstrumentInfo[];
  generators: Named[];
  questionnaires: Record<string, Questionnaire>;
  scales: QuestionnaireInfo[];
  body_map: { areas: Record<string, { id: string; title: string; views: string[]; sided: boolean }>; shapes: Record<string, BodyView> };
  conditions: (Choice & { targets?: string[]; group?: string })[];
  targets: Choice[];
  nerves: (Choice & { bony_level?: string | null; joints?: string[]; level?: string | null; has_rule?: boolean })[];
  /** Targets that a rule finds from landmarks or labels. */
  findable: string[];
  findings: FindingName[];
  demos: { name: string; title: string }[];
  views: Record<string, { lao_deg: number; cranial_deg: number }>;
  recovery_scales: Record<string, { title: string; ready_at?: number; maximum?: number; items: Record<string, string[]> }>;
  agents: Choice[];
  absorption_sites: Choice[];
  research_use: string;
}

export interface Job {
  job_id: string;
  case_id: string;
  state: "queued" | "running" | "cancelling" | "done" | "failed" | "cancelled";
  fraction: number;
  message: string;
  plan_number?: number | null;
  error?: { problem?: string; where?: string; found?: unknown; allowed?: unknown } | null;
  created_at: string;
  updated_at: string;
}

export interface PlanRow {
  number: number;
  case_version: number;
  hash: string;
  mark: string;
  made_at: string;
  made_by: string;
  files: string[];
  summary: Record<string, unknown>;
}

export interface PlanStatus {
  number: number;
  mark: string;
  approved: boolean;
  recheck: string[];
  open_stops: Notice[];
  overridable: string[];
  overrides: Record<string, string>[];
}
