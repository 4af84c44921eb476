// Words and numbers for people: units from field names, dates, figures with their interval.

const UNITS: [string, string][] = [
  ["_ml_per_min", "mL/min"], ["_mg_per_ml", "mg/mL"], ["_mcg_per_ml", "µg/mL"], ["_g_per_ml", "g/mL"], ["_mm_per_s", "mm/s"],
  ["_c_per_s", "°C/s"], ["_per_min", "/min"], ["_percent", "%"], ["_mmhg", "mmHg"], ["_kpa", "kPa"], ["_bar", "bar"], ["_mpa", "MPa"],
  ["_ohm", "Ω"], ["_hz", "Hz"], ["_khz", "kHz"], ["_nm", "nm"], ["_um", "µm"], ["_mm", "mm"], ["_cm", "cm"], ["_ms", "ms"], ["_min", "min"],
  ["_deg", "°"], ["_kg", "kg"], ["_mg", "mg"], ["_ml", "mL"], ["_ma", "mA"], ["_c", "°C"], ["_s", "s"], ["_w", "W"], ["_v", "V"],
  ["_j", "J"], ["_g", "g"], ["_n", "N"], ["_h", "h"], ["_gy", "Gy"], ["_mgy", "mGy"], ["_hours", "h"], ["_months", "months"], ["_minutes", "min"],
];

/** Label and unit of a field from its name: `set_temperature_c` is "Set temperature", "°C". */
export function labelOf(name: string): { label: string; unit: string } {
  const known = UNITS.filter(([ending]) => name.endsWith(ending)).sort((a, b) => b[0].length - a[0].length)[0];
  const stem = known ? name.slice(0, -known[0].length) : name;
  return { label: capital((stem || name).replaceAll("_", " ")), unit: known && stem ? known[1] : "" };
}

export function capital(text: string): string {
  return text ? text.charAt(0).toUpperCase() + text.slice(1) : text;
}

export function plain(name: string | null | undefined): string {
  return (name ?? "").replaceAll("_", " ");
}

/** A number as people write it: a few digits, no float noise, a true minus sign. */
export function figure(value: number | null | undefined, digits = 1): string {
  if (value === null || value === undefined || !Number.isFinite(value)) return "–";
  const text = Math.abs(value) >= 100 ? value.toFixed(0) : value.toFixed(digits);
  return text.replace("-", "−");
}

export function significant(value: number | null | undefined, digits = 3): string {
  if (value === null || value === undefined || !Number.isFinite(value)) return "–";
  return String(Number(value.toPrecision(digits))).replace("-", "−");
}

export function percent(value: number | null | undefined): string {
  return value === null || value === undefined ? "–" : `${(100 * value).toFixed(0)} %`;
}

export function day(text: string | null | undefined): string {
  if (!text) return "";
  const found = new Date(text.length === 10 ? `${text}T12:00:00` : text);
  return Number.isNaN(found.getTime()) ? text : found.toLocaleDateString("en-GB", { day: "numeric", month: "short", year: "numeric" });
}

export function moment(value: string | Date | null | undefined): string {
  if (!value) return "";
  const found = typeof value === "string" ? new Date(value) : value;
  if (Number.isNaN(found.getTime())) return String(value);
  const today = new Date().toDateString() === found.toDateString();
  const time = found.toLocaleTimeString("en-GB", { hour: "2-digit", minute: "2-digit" });
  return today ? `today ${time}` : `${day(found.toISOString().slice(0, 10))}, ${time}`;
}

export function today(): string {
  const now = new Date();
  return `${now.getFullYear()}-${String(now.getMonth() + 1).padStart(2, "0")}-${String(now.getDate()).padStart(2, "0")}`;
}

/** Local time for a field of type datetime-local, and for times sent to the server. */
export function clock(now = new Date()): string {
  return `${today()}T${String(now.getHours()).padStart(2, "0")}:${String(now.getMinutes()).padStart(2, "0")}`;
}
