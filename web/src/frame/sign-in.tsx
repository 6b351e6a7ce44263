// Credentials: a user's password, or an API key or token.
import { useState } from "preact/hooks";
import { signIn } from "../lib/session.ts";

export function SignIn() {
  const [wrong, setWrong] = useState<string>();
  const [busy, setBusy] = useState(false);
  const submit = async (event: SubmitEvent) => {
    event.preventDefault();
    const fields = new FormData(event.currentTarget as HTMLFormElement);
    const of = (name: string) => String(fields.get(name) ?? "");
    setBusy(true);
    const token = of("token").trim();
    setWrong(await signIn(token ? { token } : { user: of("user"), password: of("password") }));
    setBusy(false);
  };
  return (
    <form class="sign-in panel" onSubmit={(event) => void submit(event)}>
      <h2>Sign in</h2>
      <p class="note">This page asks for credentials, or those that it had are no longer valid. Nothing is stored in this browser but the session's cookie.</p>
      <label>User <input name="user" autoComplete="username" /></label>
      <label>Password <input name="password" type="password" autoComplete="current-password" /></label>
      <p class="or">or</p>
      <label>API key or token <input name="token" type="password" autoComplete="off" /></label>
      {wrong && <p class="trouble" role="alert">{wrong}</p>}
      <button type="submit" disabled={busy}>{busy ? "…" : "Sign in"}</button>
    </form>
  );
}
