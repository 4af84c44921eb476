// The page starts here: sign in, read what there is to choose from, show what the address says.
import "./styles/page.css";
import { render } from "preact";
import { useEffect, useState } from "preact/hooks";
import { get, send, told } from "./model/api.ts";
import type { Catalogue, Session } from "./model/types.ts";
import { Cases } from "./pages/Cases.tsx";
import { CasePage } from "./pages/CasePage.tsx";
import { World } from "./pages/context.ts";
import { SignIn } from "./pages/SignIn.tsx";
import { applyTheme } from "./parts/theme.tsx";
import { Toasts } from "./parts/toast.tsx";
import { Trouble } from "./parts/ui.tsx";

interface Place {
  caseId: string | null;
  tab: string;
}

function placeOf(hash: string): Place {
  const [, page, id, tab] = hash.replace(/^#/, "").split("/");
  return page === "case" && id ? { caseId: decodeURIComponent(id), tab: tab || "evaluate" } : { caseId: null, tab: "" };
}

/** The launch link carries a token that works once; it leaves the address bar at once. */
async function session(): Promise<Session> {
  const token = window.location.hash.match(/^#token=(.+)$/)?.[1];
  if (!token) return get<Session>("/api/session");
  window.history.replaceState(null, "", "#/");
  try {
    return await send<Session>("POST", "/api/session", { token: decodeURIComponent(token) });
  } catch (error) {
    const known = await get<Session>("/api/session");
    if (known.user) return known;
    throw error;
  }
}

function Page() {
  const [place, setPlace] = useState(() => placeOf(window.location.hash));
  const [who, setWho] = useState<Session | null>(null);
  const [catalogue, setCatalogue] = useState<Catalogue | null>(null);
  const [problem, setProblem] = useState("");
  useEffect(() => {
    session().then(setWho).catch((error: unknown) => setProblem(told(error)));
    const follow = () => { setPlace(placeOf(window.location.hash)); window.scrollTo(0, 0); };
    window.addEventListener("hashchange", follow);
    return () => window.removeEventListener("hashchange", follow);
  }, []);
  useEffect(() => {
    setPlace(placeOf(window.location.hash));
    if (who?.user) get<Catalogue>("/api/catalogue").then(setCatalogue).catch((error: unknown) => setProblem(told(error)));
  }, [who?.user]);
  if (problem) return <main><h1>neurolysis</h1><Trouble error={problem} retry={() => window.location.reload()} /></main>;
  if (!who) return <p class="boot">Loading the workstation…</p>;
  if (!who.user) return <SignIn session={who} onIn={setWho} />;
  if (!catalogue) return <p class="boot">Reading the catalogue…</p>;
  return (
    <World.Provider value={{ session: who, catalogue }}>
      {place.caseId ? <CasePage id={place.caseId} tab={place.tab} key={place.caseId} /> : <Cases />}
      <footer class="foot">{who.notice} · neurolysis {who.version}</footer>
      <Toasts />
    </World.Provider>
  );
}

applyTheme();
const root = document.getElementById("page");
if (root) {
  root.replaceChildren();
  render(<Page />, root);
}
