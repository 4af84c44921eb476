// Parts of the page that are plain arithmetic, run by node without a browser.
import assert from "node:assert/strict";
import { test } from "node:test";
import { crc32, zipFiles } from "../src/model/dropped.ts";
import { changedKeys, merge } from "../src/model/merge.ts";
import type { Case, Point } from "../src/model/types.ts";
import { figure, labelOf } from "../src/model/words.ts";
import { resolve } from "../src/parts/schema.ts";
import { contour, facing, rasterise, reachOf, sample, type Field } from "../src/viewer/field.ts";
import { placementOf, withPath, type Offer } from "../src/tabs/path.ts";
import { publishedWords } from "../src/tabs/published.ts";
import { onDetector } from "../src/viewer/Fluoro.tsx";
import { apply, determinant, inverse, multiply, needleFrame, sub, length } from "../src/viewer/geometry.ts";
import { moved, needleOf } from "../src/viewer/state.ts";
import { paintCut, Volume, type Cut } from "../src/viewer/volume.ts";
import { broken } from "../src/viewer/painter.ts";
import { bounds, effective, named, outside } from "../src/parts/schema.ts";
import { answered, groupFindings } from "../src/tabs/Findings.tsx";
import { scoreOf, withScore } from "../src/tabs/Scores.tsx";
import { consentGaps } from "../src/tabs/Consent.tsx";
import { endOf, fitting, grouped } from "../src/tabs/Instrument.tsx";
import type { InstrumentInfo, Schema, TechniqueInfo } from "../src/model/types.ts";

const near = (a: number, b: number, by = 1e-9) => assert.ok(Math.abs(a - b) <= by, `${a} is not ${b}`);

test("an inverse undoes an oblique map", () => {
  const map = [0.8, -0.6, 0.1, 12, 0.6, 0.8, 0, -7, 0.2, 0.1, 2.5, 40, 0, 0, 0, 1];
  const back = multiply(inverse(map), map);
  [1, 0, 0, 0, 0, 1, 0, 0, 0, 0, 1, 0, 0, 0, 0, 1].forEach((value, k) => near(back[k]!, value));
});

test("the needle's frame points to the hub and keeps lengths", () => {
  for (const hub of [[0, 0, 50], [10, -20, 3], [1, 1, 90]] as Point[]) {
    const frame = needleFrame([5, 6, 7], [5 + hub[0], 6 + hub[1], 7 + hub[2]]);
    const up = sub(apply(frame, [0, 0, 10]), [5, 6, 7]);
    hub.forEach((value, k) => near(up[k]!, (10 * value) / length(hub)));
    near(length(sub(apply(frame, [3, 4, 0]), [5, 6, 7])), 5);
  }
});

test("the tip carries the needle, the hub turns it about the tip", () => {
  const start = { instrument: "x", tip_mm: [0, 0, 0] as Point, towards_hub_mm: [0, 80, 0] as Point };
  const carried = moved(start, "tip", [1, 2, 3]);
  assert.deepEqual(carried.tip_mm, [1, 2, 3]);
  assert.deepEqual(carried.towards_hub_mm, [1, 82, 3]);
  const turned = moved(start, "hub", [30, 0, 0]);
  assert.deepEqual(turned.tip_mm, [0, 0, 0]);
  needleOf(turned).hub.forEach((value, k) => near(value, [45, 0, 0][k]!));
  const stayed = moved(start, "hub", [0, 0.1, 0]);
  needleOf(stayed).hub.forEach((value, k) => near(value, [0, 45, 0][k]!));
});

/** Distance from the origin on a graded grid, as minus the distance so that inside is above. */
function ball(): Field {
  const axis = Float64Array.from([-30, -20, -14, -10, -7, -5, -3, -1.5, 0, 1.5, 3, 5, 7, 10, 14, 20, 30]);
  const n = axis.length;
  const values = new Float32Array(n ** 3);
  for (let i = 0; i < n; i++) for (let j = 0; j < n; j++) for (let k = 0; k < n; k++) values[(i * n + j) * n + k] = 100 * axis[i]! + 10 * axis[j]! + axis[k]!;
  return { axes: [axis, axis, axis], values, unit: "", description: "", levels: [], lesionLevel: 0, lesionLabel: "" };
}

test("sampling is exact where the field is linear, x slowest, and says nothing outside", () => {
  const field = ball();
  for (const [x, y, z] of [[0, 0, 0], [1.2, -8.3, 17], [-29, 29, 4.4]] as Point[]) near(sample(field, x, y, z), 100 * x + 10 * y + z, 1e-3);
  assert.ok(Number.isNaN(sample(field, 31, 0, 0)));
});

test("the contour of a sphere has the sphere's radius, wherever the needle lies", () => {
  const field = ball();
  const [axis] = field.axes;
  const n = axis.length;
  for (let i = 0; i < n; i++) for (let j = 0; j < n; j++) for (let k = 0; k < n; k++) field.values[(i * n + j) * n + k] = -Math.hypot(axis[i]!, axis[j]!, axis[k]!);
  const frame = needleFrame([40, -12, 9], [60, 30, 50]);
  const cut: Cut = { centre: [38, -10, 9], right: [1, 0, 0], down: [0, 1, 0], step: 1, columns: 100, rows: 100 };
  const pieces = contour(rasterise(field, frame, cut, 20, 0.5), -8);
  assert.ok(pieces.length > 200);
  let total = 0;
  for (let p = 0; p < pieces.length; p += 2) {
    const radius = Math.hypot(pieces[p]! - 2, pieces[p + 1]! + 2);
    assert.ok(Math.abs(radius - 8) < 0.6, `radius ${radius}`);
    total += radius;
  }
  near(total / (pieces.length / 2), 8, 0.25);
});

test("a cut shows each voxel where its place in the patient is", () => {
  const head = { shape: [4, 3, 2] as Point, affine: [[0, -2, 0, 10], [3, 0, 0, 20], [0, 0, 5, -30], [0, 0, 0, 1]], dtype: "int16", window: [50, 100] as [number, number] };
  const voxels = Int16Array.from({ length: 24 }, (_, k) => 10 * (k % 10));
  const volume = new Volume(head, voxels);
  const target = new Uint8ClampedArray(4);
  for (let i = 0; i < 4; i++) for (let j = 0; j < 3; j++) for (let k = 0; k < 2; k++) {
    const centre = apply(volume.toLps, [i, j, k]);
    paintCut(volume, { centre, right: [1, 0, 0], down: [0, 1, 0], step: 1, columns: 1, rows: 1 }, [50, 100], target);
    const stored = voxels[i + 4 * (j + 3 * k)]!;
    assert.equal(target[0], Math.min(255, Math.floor(2.55 * stored)), `voxel ${i} ${j} ${k}`);
    assert.equal(volume.valueAt(centre), stored);
  }
  paintCut(volume, { centre: [100, 100, 100], right: [1, 0, 0], down: [0, 1, 0], step: 1, columns: 1, rows: 1 }, [50, 100], target);
  assert.deepEqual([...target], [0, 0, 0, 255]);
});

test("a point on the central ray falls in the middle of the detector, twice as far falls half as far out", () => {
  const carm = { source_mm: [0, -600, 0] as Point, detector_mm: [0, 400, 0] as Point, right: [1, 0, 0] as Point, down: [0, 0, -1] as Point, pixel_mm: 0.5, columns: 401, rows: 401 };
  assert.deepEqual(onDetector(carm, [0, 0, 0]), [200, 200]);
  const [column, row] = onDetector(carm, [30, 0, 12])!;
  near(column, 200 + (30 * (1000 / 600)) / 0.5, 1e-9);
  near(row, 200 - (12 * (1000 / 600)) / 0.5, 1e-9);
  assert.equal(onDetector(carm, [0, -700, 0]), null);
});

const base = { id: "a", patient: { id: "p" }, title: "one", complaint: "x", allergies: null } as unknown as Case;

test("a merge takes what only one side changed and asks about the rest", () => {
  const mine = { ...base, title: "mine", complaint: "mine" } as Case;
  const theirs = { ...base, complaint: "theirs", notes: "new" } as Case;
  const found = merge(base, mine, theirs);
  assert.deepEqual([found.mine, found.theirs, found.both], [["title"], ["notes"], ["complaint"]]);
  assert.equal(found.merged.title, "mine");
  assert.equal(found.merged.notes, "new");
});

test("unknown and none are two answers, an absent field and null are one", () => {
  assert.deepEqual(changedKeys(base, { ...base, allergies: [] } as Case), ["allergies"]);
  const { allergies: _, ...absent } = base;
  assert.deepEqual(changedKeys(base, absent as Case), []);
});

test("labels carry the unit of a field's name", () => {
  assert.deepEqual(labelOf("set_temperature_c"), { label: "Set temperature", unit: "°C" });
  assert.deepEqual(labelOf("rate_ml_per_min"), { label: "Rate", unit: "mL/min" });
  assert.deepEqual(labelOf("mode"), { label: "Mode", unit: "" });
  assert.deepEqual([figure(-3.26), figure(1234.4), figure(null)], ["−3.3", "1234", "–"]);
});

test("a schema is resolved through references and alternatives with null", () => {
  const root = { $defs: { Mode: { enum: ["a", "b"] } } };
  assert.deepEqual(resolve({ anyOf: [{ $ref: "#/$defs/Mode" }, { type: "null" }] }, root), { schema: { enum: ["a", "b"] }, nullable: true });
  assert.equal(resolve({ anyOf: [{ type: "number", exclusiveMinimum: 0 }, { type: "null" }], default: null }, root).schema.exclusiveMinimum, 0);
});

test("a folder becomes a ZIP that names its files and their sums", async () => {
  assert.equal(crc32(new TextEncoder().encode("123456789")), 0xcbf43926);
  const file = new File(["hello"], "a.txt");
  Object.defineProperty(file, "webkitRelativePath", { value: "folder/ä.txt" });
  const zip = new Uint8Array(await (await zipFiles([file])).arrayBuffer());
  process.stdout.write(`ZIP:${Buffer.from(zip).toString("base64")}\n`);
  assert.deepEqual([...zip.slice(0, 4)], [0x50, 0x4b, 3, 4]);
});

test("a mirroring map is known by its determinant, however it turns", () => {
  near(determinant([0, 0, -1.5, 78, 1.5, 0, 0, 135, 0, -1.5, 0, -34, 0, 0, 0, 1]), 3.375);
  near(determinant([1.4, 0, 0, 5, 0, -1.4, 0, 6, 0, 0, 2.5, 7, 0, 0, 0, 1]), -4.9);
});

test("a path that is taken lays one needle on it and leaves the others", () => {
  const offer = { tip_mm: [45.24, 2.1, -262.98], entry_mm: [64.66, 116.68, -320.13], direction_to_hub: [0.14993056, 0.88475, -0.44129159], length_mm: 129.5 } as unknown as Offer;
  const path = placementOf(offer, "long");
  assert.equal(path.instrument, "long");
  const needle = needleOf(path);
  sub(needle.hub, needle.tip).forEach((value, k) => near(value / length(sub(needle.hub, needle.tip)), offer.direction_to_hub[k]!, 1e-3));
  // The skin's entry lies on the needle's axis, on the side of the hub.
  const along = sub(offer.entry_mm, path.tip_mm);
  along.forEach((value, k) => near(value / length(along), offer.direction_to_hub[k]!, 1e-3));
  const before = [{ instrument: "a", tip_mm: [0, 0, 0] as Point, towards_hub_mm: [0, 1, 0] as Point, rotation_deg: 30, role: "return" }, { instrument: "b", tip_mm: [9, 9, 9] as Point, towards_hub_mm: [9, 10, 9] as Point }];
  assert.deepEqual(withPath(before, path, 0), [{ ...before[0], ...path }, before[1]]);
  assert.deepEqual(withPath(before, path, 1), [before[0], path]);
  assert.deepEqual(withPath([], path, 0), [path]);
  assert.deepEqual(withPath(before, path, 7), [...before, path]);
});

test("a published figure tells its unit, or that no number was printed", () => {
  const one = { row: "r", value: 3, low: null, high: null, n: 12, definition: "time to return [months; alcohol; celiac_plexus]", source: "s" };
  assert.equal(publishedWords(one), "time to return: 3 months (alcohol, celiac plexus, 12 people)");
  assert.equal(publishedWords({ ...one, value: null, low: 1, high: 2, n: null }), "time to return: 1 to 2 months (alcohol, celiac plexus)");
  assert.equal(publishedWords({ ...one, value: null, n: null, definition: "said in words" }), "said in words: no number printed");
});

test("a straight cut is the same picture as an oblique one all but turned into it", () => {
  const head = { shape: [9, 7, 5] as Point, affine: [[1.5, 0, 0, -4], [0, 0, 2, -3], [0, -1.2, 0, 6], [0, 0, 0, 1]], dtype: "int16", window: [50, 100] as [number, number], slope: 2, intercept: -30 };
  const volume = new Volume(head, Int16Array.from({ length: 315 }, (_, k) => (k * 37) % 101));
  const cut: Cut = { centre: [1.3, 0.7, 2.1], right: [1, 0, 0], down: [0, 0, -1], step: 0.31, columns: 60, rows: 60 };
  const turn = 1e-7;
  const oblique: Cut = { ...cut, right: [1, turn, 0], down: [0, turn, -1] };
  const [straight, general] = [cut, oblique].map((one) => {
    const target = new Uint8ClampedArray(4 * 3600);
    paintCut(volume, one, [50, 200], target);
    return target;
  });
  let lit = 0;
  straight!.forEach((value, p) => { assert.ok(Math.abs(value - general![p]!) <= 1, `byte ${p}: ${value} and ${general![p]}`); if (p % 4 === 0 && value > 0) lit++; });
  assert.ok(lit > 500, "the picture is not black");
});

test("what is drawn reaches to the outermost value at a level, and no further than one line more", () => {
  const field = ball();
  const [axis] = field.axes;
  const n = axis.length;
  for (let i = 0; i < n; i++) for (let j = 0; j < n; j++) for (let k = 0; k < n; k++) field.values[(i * n + j) * n + k] = -Math.hypot(axis[i]!, axis[j]!, axis[k]!);
  assert.equal(reachOf(field, 1), 0);
  const reach = reachOf(field, -8);
  assert.ok(reach >= 8 && reach <= Math.sqrt(3) * 10, String(reach));
});

test("where less is worse the field is turned round with its levels", () => {
  const field = facing({ ...ball(), values: Float32Array.from([-30, -10, 20]), levels: [{ label: "-20°", value: -20 }], lesionLevel: -20 }, "below");
  assert.deepEqual([...field.values], [30, 10, -20]);
  assert.deepEqual([field.lesionLevel, field.levels[0]], [20, { label: "-20°", value: 20 }]);
  assert.deepEqual([...field.values].map((value) => value >= field.lesionLevel), [true, false, false]);
});

test("a name too long for its picture goes on as many lines as it needs", () => {
  assert.deepEqual(broken("Lateral femoral nerve, right", (part) => part.length <= 15), ["Lateral femoral", "nerve, right"]);
  assert.deepEqual(broken("short", () => true), ["short"]);
});

const injection: Schema = {
  properties: {
    agent: { type: "string", oneOf: [{ const: "a", title: "Agent A" }, { const: "b", title: "Agent B" }] },
    vehicle: { type: "string", default: "water" },
    strength: { type: "number", exclusiveMinimum: 0, maximum: 100 },
  },
  required: ["agent"],
  allOf: [
    { if: { properties: { agent: { const: "a" }, vehicle: { const: "water" } }, required: ["agent"] }, then: { properties: { strength: { minimum: 3, maximum: 7 } }, required: [] } },
    { if: { properties: { agent: { const: "a" }, vehicle: { const: "oil" } }, required: ["agent", "vehicle"] }, then: { properties: { strength: { type: "number", maximum: 15 } }, required: ["strength"] } },
  ],
};

test("a rule of the schema holds for a default that is left out, and not for a value that is missing", () => {
  const limits = (value: Record<string, string>) => effective(injection, value);
  assert.equal(bounds(limits({ agent: "a" }).properties!["strength"]!), "from 3 to 7");
  assert.equal(bounds(limits({ agent: "a", vehicle: "oil" }).properties!["strength"]!), "above 0 to 15");
  assert.equal(bounds(limits({ agent: "b" }).properties!["strength"]!), "above 0 to 100");
  assert.equal(bounds(limits({}).properties!["strength"]!), "above 0 to 100");
  assert.deepEqual(limits({ agent: "a", vehicle: "oil" }).required, ["agent", "strength"]);
  assert.deepEqual(named(injection.properties!["agent"]!)?.map((one) => one.label), ["Agent A", "Agent B"]);
  assert.equal(outside(limits({ agent: "a" }).properties!["strength"]!, 8), "8 is not allowed: from 3 to 7.");
  assert.equal(outside(limits({ agent: "a" }).properties!["strength"]!, 7), "");
  assert.equal(outside({ exclusiveMinimum: 0 }, 0), "0 is not allowed: above 0.");
});

test("findings come once each: recorded, asked for by causes, asked for by others, the rest", () => {
  const names = ["a", "b", "c", "d"].map((id) => ({ id, title: id, question: `whether ${id} is there` }));
  const found = groupFindings(names, ["c", "unknown words"], { causes: ["whether b is there", "whether c is there"], others: ["whether b is there", "whether d is there"] });
  assert.deepEqual(Object.values(found).map((list) => list.map((one) => one.id)), [["c"], ["b"], ["d"], ["a"]]);
  const list = [{ kind: "exam", name: "a", result: "present" }, { kind: "history", name: "b", result: "absent" }];
  assert.deepEqual(answered(list, "a", "absent").map((one) => [one.kind, one.name, one.result]), [["exam", "a", "absent"], ["history", "b", "absent"]]);
  assert.deepEqual(answered(list, "a", "").map((one) => one.name), ["b"]);
});

test("a total is kept only inside its range and with a day that has come", () => {
  const scale = { id: "odi", title: "Disability", minimum: 0, maximum: 100 };
  assert.match(String(scoreOf(scale, 101, "2026-01-02")), /0 to 100/);
  assert.match(String(scoreOf(scale, 40, "2999-01-02")), /ahead/);
  assert.match(String(scoreOf(scale, 40, "")), /day/);
  const kept = scoreOf(scale, 40, "2026-01-02");
  assert.deepEqual(kept, { instrument: "odi", total: 40, minimum: 0, maximum: 100, observed: "2026-01-02" });
  const first = { instrument: "odi", total: 60, minimum: 0, maximum: 100, observed: "2026-01-02" };
  assert.deepEqual(withScore([first, { ...first, observed: "2025-01-02" }], kept as typeof first).map((one) => [one.observed, one.total]), [["2025-01-02", 60], ["2026-01-02", 40]]);
});

test("a consent says who, when and in which language, and is not taken back before it was given", () => {
  const whole = { schema_version: 1 as const, case_id: "a", given: true, signed_on: "2026-02-01", by: "Dr A", language: "de" };
  assert.deepEqual(consentGaps(whole, "2026-03-01"), []);
  assert.deepEqual(consentGaps({ ...whole, given: null, by: "" }, "2026-03-01"), []);
  assert.deepEqual(consentGaps({ ...whole, signed_on: null, by: " ", language: "" }, "2026-03-01"), ["the day", "who took it", "the language"]);
  assert.equal(consentGaps({ ...whole, revoked_on: "2026-01-01" }, "2026-03-01").length, 1);
  assert.equal(consentGaps(whole, "2026-01-15").length, 1);
});

test("only instruments of the technique's kinds are offered, many of them by shape and gauge", () => {
  const made = (id: string, kind: string, gauge: number): InstrumentInfo => ({ id, name: id, kind, gauge, shape: "straight", active_tip_mm: 10, shaft_length_mm: 100, outer_radius_mm: { value: 0.6 } });
  const all = [...Array.from({ length: 14 }, (_, k) => made(`e${k}`, "electrode", 16 + 2 * (k % 2))), made("n", "injection needle", 22)];
  const technique = (kinds: string[], end_field = ""): TechniqueInfo => ({ instrument: { kinds, end_field, key: "" }, protocol_schema: { properties: { beyond_mm: { default: 5 } } } }) as unknown as TechniqueInfo;
  assert.deepEqual(fitting(all, technique(["injection needle"])).map((one) => one.id), ["n"]);
  assert.deepEqual(grouped(fitting(all, technique(["electrode"]))).map(([name, list]) => [name, list.length]), [["Straight, 16G", 7], ["Straight, 18G", 7]]);
  assert.equal(endOf(technique([]), {}, all[0]), 10);
  assert.equal(endOf(technique([], "beyond_mm"), {}, all[0]), 5);
  assert.equal(endOf(technique([], "beyond_mm"), { beyond_mm: 7 }, all[0]), 7);
});
