import { useState } from "preact/hooks";
import { send, told } from "../model/api.ts";
import type { Session } from "../model/types.ts";
import { TextField } from "../parts/ui.tsx";

export function SignIn(props: { session: Session; onIn: (session: Session) => void }) {
  const [name, setName] = useState("");
  const [password, setPassword] = useState("");
  const [problem, setProblem] = useState("");
  const enter = async (event: Event) => {
    event.preventDefault();
    try {
      props.onIn(await send<Session>("POST", "/api/session", { name, password }));
    } catch (error) {
      setProblem(told(error));
    }
  };
  if (props.session.mode === "single-user") {
    return (
      <main class="signin">
        <h1>neurolysis</h1>
        <section class="panel stack">
          <h2>This link was used already</h2>
          <p>The launch link works once. Go to the terminal where <code>neurolysis serve</code> runs and open the newest link it printed, or start it again.</p>
        </section>
      </main>
    );
  }
  return (
    <main class="signin">
      <h1>neurolysis</h1>
      <form class="panel stack" onSubmit={(event) => void enter(event)}>
        <h2>Sign in</h2>
        <TextField label="Name" value={name} onChange={setName} />
        <TextField label="Password" type="password" value={password} onChange={setPassword} />
        {problem && <p class="problem" role="alert">{problem}</p>}
        <button class="main" type="submit">Sign in</button>
        {props.session.sign_on && <a href="/api/oidc/login">{props.session.sign_on}</a>}
      </form>
      <p class="muted small">{props.session.notice}</p>
    </main>
  );
}
