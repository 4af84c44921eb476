// The 3-D panel: fetches its chunk when first shown, and says so where there is no WebGL.
import { useEffect, useRef, useState } from "preact/hooks";
import { told } from "../model/api.ts";
import { moved, type Lesion, type ViewerState } from "./state.ts";
import type { View3d } from "./view3d.ts";

/** Without a graphics processor a 3-D picture takes long: then it follows a dragged needle with rests between. */
const SLOW_MS = 12;
const REST = 4;

interface Props {
  viewer: ViewerState;
  lesion: Lesion | null;
  activeTip: number;
  onNeedle?: ((placements: ViewerState["placements"]) => void) | undefined;
}

function webgl(): boolean {
  try {
    return document.createElement("canvas").getContext("webgl2") !== null;
  } catch {
    return false;
  }
}

export function Space(props: Props) {
  const { viewer } = props;
  const box = useRef<HTMLDivElement>(null);
  const view = useRef<View3d | null>(null);
  const latest = useRef(props);
  latest.current = props;
  const [problem, setProblem] = useState("");
  const [ready, setReady] = useState(false);

  useEffect(() => {
    let gone = false;
    if (!webgl()) { setProblem("3-D is not available: this browser has no WebGL. The slices show everything."); return; }
    import("./view3d.ts").then(({ View3d: Made }) => {
      if (gone || !box.current) return;
      const made = new Made(box.current);
      view.current = made;
      made.onNeedle = (index, part, point, done) => {
        if (!latest.current.onNeedle) return;
        viewer.live = viewer.placements.map((one, k) => (k === index ? moved(one, part, point) : one));
        if (!done) return viewer.tell();
        const placements = viewer.live;
        viewer.live = null;
        latest.current.onNeedle(placements);
        viewer.tell();
      };
      (box.current as HTMLDivElement & { view?: View3d }).view = made;
      setReady(true);
    }).catch((error: unknown) => setProblem(`3-D could not be started: ${told(error)}. The slices show everything.`));
    return () => { gone = true; view.current?.destroy(); view.current = null; };
  }, [viewer]);

  useEffect(() => {
    const made = view.current;
    if (!ready || !made) return;
    if (viewer.volume) made.setVolume(viewer.volume);
    made.setNeedles(viewer.needles, latest.current.activeTip);
    made.lookAt(viewer.centre);
  }, [ready, viewer.volume]);

  useEffect(() => {
    if (ready && view.current && viewer.scene) { view.current.setScene(viewer.scene); view.current.render(); }
  }, [ready, viewer.scene]);

  useEffect(() => {
    let pause = 0;
    const refresh = () => {
      const made = view.current;
      if (!made) return;
      const start = performance.now();
      const { lesion, activeTip } = latest.current;
      const shown = viewer.live || lesion?.preview ? viewer.previews : lesion ? [lesion] : [];
      made.setNeedles(viewer.needles, activeTip);
      made.setLesion(shown[0]?.field ?? null, shown.map((one) => one.toLps));
      made.render();
      const took = performance.now() - start;
      pause = took > SLOW_MS ? REST * took : 0;
    };
    if (!ready) return;
    refresh();
    let waiting = 0;
    let resting = 0;
    let last = "";
    const stop = viewer.watch(() => {
      const now = JSON.stringify([viewer.needles, viewer.live === null, Boolean(viewer.preview)]);
      if (now === last) return; // a change of slice or window moves nothing here
      last = now;
      if (viewer.live && pause) resting ||= window.setTimeout(() => { resting = 0; refresh(); }, pause);
      else waiting ||= requestAnimationFrame(() => { waiting = 0; refresh(); });
    });
    return () => { stop(); cancelAnimationFrame(waiting); window.clearTimeout(resting); };
  }, [ready, viewer, props.lesion, props.activeTip]);

  return (
    <div class="plane space" data-plane="space">
      <div ref={box} class="over" role="img" aria-label="3-D view of bone, nerves, needle and lesion. The numbers beside it move the needle from the keyboard." />
      {problem ? <div class="over"><p>{problem}</p></div> : !ready && <div class="over"><p>Starting 3-D…</p></div>}
      <span class="caption">3-D</span>
      {(viewer.live !== null || props.lesion?.preview) && <span class="preview-mark">preview</span>}
    </div>
  );
}
