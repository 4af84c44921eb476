// Simulated fluoroscopy: the picture comes from the server, the needle is drawn here so that it follows at once.
import colours from "palette";
import { useEffect, useRef, useState } from "preact/hooks";
import { casePath, get, request, told } from "../model/api.ts";
import type { Placement, Point } from "../model/types.ts";
import { add, cross, dot, scale, sub, unit } from "./geometry.ts";
import type { ViewerState } from "./state.ts";

interface CArm {
  source_mm: Point;
  detector_mm: Point;
  right: Point;
  down: Point;
  pixel_mm: number;
  columns: number;
  rows: number;
}

interface Angles {
  lao_deg: number;
  cranial_deg: number;
}

/** Column and row where a point falls, or null behind the source. */
export function onDetector(carm: CArm, point: Point): [number, number] | null {
  const normal = cross(carm.right, carm.down);
  const away = sub(point, carm.source_mm);
  const toDetector = sub(carm.detector_mm, carm.source_mm);
  const depth = dot(away, normal);
  if (Math.abs(depth) < 1e-6) return null;
  const factor = dot(toDetector, normal) / depth;
  if (factor <= 0) return null;
  const hit = sub(scale(away, factor), toDetector);
  return [dot(hit, carm.right) / carm.pixel_mm + (carm.columns - 1) / 2, dot(hit, carm.down) / carm.pixel_mm + (carm.rows - 1) / 2];
}

const SIZE = 384;

export function Fluoro(props: { viewer: ViewerState; activeTip: number; views: Record<string, Angles> }) {
  const { viewer } = props;
  const canvas = useRef<HTMLCanvasElement>(null);
  const [angles, setAngles] = useState<Angles>({ lao_deg: 0, cranial_deg: 0 });
  const [picture, setPicture] = useState<{ image: ImageBitmap; carm: CArm | null } | null>(null);
  const [problem, setProblem] = useState("");
  const [busy, setBusy] = useState(false);
  const id = viewer.store.loaded.id;

  // A server that does not say where its C-arm stands draws the needle itself: then it must be asked again.
  const drawn = picture && !picture.carm ? JSON.stringify(viewer.store.mine.treatment?.placements ?? []) : "[]";
  useEffect(() => {
    const stop = new AbortController();
    const timer = window.setTimeout(() => {
      setBusy(true);
      request("POST", casePath(id, "fluoroscopy"), { body: { ...angles, columns: SIZE, rows: SIZE, placements: (JSON.parse(drawn) as Placement[]).map(({ instrument, tip_mm, towards_hub_mm }) => ({ instrument, tip_mm, towards_hub_mm })) }, signal: stop.signal })
        .then(async (response) => {
          const head = response.headers.get("X-Neurolysis-Carm");
          setPicture({ image: await createImageBitmap(await response.blob()), carm: head ? (JSON.parse(head) as CArm) : null });
          setProblem("");
        })
        .catch((error: unknown) => { if (!stop.signal.aborted) setProblem(told(error)); })
        .finally(() => { if (!stop.signal.aborted) setBusy(false); });
    }, 120);
    return () => { window.clearTimeout(timer); stop.abort(); };
  }, [id, viewer.volume, angles.lao_deg, angles.cranial_deg, drawn]);

  useEffect(() => {
    const draw = () => paint(canvas.current, picture, viewer, props.activeTip);
    draw();
    return viewer.watch(draw);
  }, [picture, viewer, props.activeTip]);

  const tunnel = async () => {
    try {
      setAngles(await get<Angles>(casePath(id, "tunnel-view")));
    } catch (error) {
      setProblem(told(error));
    }
  };
  const set = (key: keyof Angles) => (event: { currentTarget: HTMLInputElement }) => setAngles({ ...angles, [key]: Number(event.currentTarget.value) });
  return (
    <div class="fluoro">
      <div class="plane" data-plane="fluoroscopy">
        <canvas ref={canvas} width={SIZE} height={SIZE} role="img" aria-label={`Simulated fluoroscopy, ${words(angles)}`} />
        <span class="caption">Fluoroscopy, simulated · {words(angles)}</span>
        {problem ? <div class="over"><p>{problem}</p></div> : busy && !picture && <div class="over"><p role="status">Working out the picture…</p></div>}
        {busy && picture && <span class="busy" role="status">following…</span>}
      </div>
      <div class="controls">
        <label>LAO − RAO <input type="range" min={-90} max={90} value={angles.lao_deg} onInput={set("lao_deg")} /></label>
        <label>Cranial − caudal <input type="range" min={-60} max={60} value={angles.cranial_deg} onInput={set("cranial_deg")} /></label>
        {Object.entries(props.views).map(([name, view]) => <button key={name} onClick={() => setAngles(view)}>{name === "ap" ? "AP" : name}</button>)}
        <button onClick={() => void tunnel()} disabled={!viewer.needles.length}>Down the needle</button>
      </div>
    </div>
  );
}

function words(angles: Angles): string {
  const lao = `${angles.lao_deg >= 0 ? "LAO" : "RAO"} ${Math.abs(angles.lao_deg).toFixed(0)}°`;
  return `${lao}, ${angles.cranial_deg >= 0 ? "cranial" : "caudal"} ${Math.abs(angles.cranial_deg).toFixed(0)}°`;
}

function paint(canvas: HTMLCanvasElement | null, picture: { image: ImageBitmap; carm: CArm | null } | null, viewer: ViewerState, activeTip: number): void {
  const context = canvas?.getContext("2d");
  if (!canvas || !context) return;
  context.fillStyle = "#000";
  context.fillRect(0, 0, canvas.width, canvas.height);
  if (!picture) return;
  context.drawImage(picture.image, 0, 0, canvas.width, canvas.height);
  const { carm } = picture;
  if (!carm) return;
  const ratio = canvas.width / carm.columns;
  const line = (points: Point[], width: number, colour: string, dash: number[] = []) => {
    context.beginPath();
    points.forEach((point, k) => {
      const found = onDetector(carm, point);
      if (!found) return;
      if (k) context.lineTo((found[0] + 0.5) * ratio, (found[1] + 0.5) * ratio);
      else context.moveTo((found[0] + 0.5) * ratio, (found[1] + 0.5) * ratio);
    });
    for (const [w, c] of [[width + 2, "rgba(0,0,0,0.6)"], [width, colour]] as [number, string][]) {
      context.setLineDash(dash);
      context.lineWidth = w;
      context.strokeStyle = c;
      context.stroke();
    }
  };
  for (const nerve of viewer.scene?.nerves ?? []) line(nerve.points_mm, 2.5, colours.nerve, nerve.is_target ? [] : [4, 3]);
  for (const { tip, hub } of viewer.needles) {
    line([tip, hub], 3, "#d8dee3");
    line([tip, add(tip, scale(unit(sub(hub, tip)), activeTip))], 4, "#ffffff");
  }
}
