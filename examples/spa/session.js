// Keeps a person signed in, in all tabs of this origin. The tokens are in localStorage.
const KEY = "session";
// Refresh this long before the access token expires, so that it does not expire on the way.
const EARLY_MS = 30_000;
// A refresh that takes longer is given up. The next one sends the same token again, which the API
// accepts: it knows that answers get lost.
const PATIENCE_MS = 15_000;

export function openSession(api, onSignedOut) {
  const kept = () => JSON.parse(localStorage.getItem(KEY));
  // One tab at a time changes the tokens. The others wait here, and then find the new ones.
  const alone = (change) => navigator.locks.request(KEY, change);

  function keep(tokens) {
    const session = { ...tokens, expires_at: Date.now() + tokens.expires_in * 1000 };
    localStorage.setItem(KEY, JSON.stringify(session));
    return session;
  }

  function forget(code) {
    localStorage.removeItem(KEY);
    onSignedOut(code);
    return null;
  }

  const post = (path, body) =>
    fetch(api + path, {
      method: "POST",
      headers: { "Content-Type": "application/json" },
      body: JSON.stringify(body),
      signal: AbortSignal.timeout(PATIENCE_MS),
    });

  const refresh = (used) =>
    alone(async () => {
      const session = kept();
      if (session?.access_token !== used) return session;
      const answer = await post("/auth/refresh", { refresh_token: session.refresh_token });
      const body = await answer.json();
      if (answer.ok) return keep(body);
      // The tokens are still good after 429 and 503, and when the network fails.
      if (answer.status !== 401) throw new Error(body.detail);
      return forget(body.code);
    });

  const send = (path, options, session) =>
    fetch(api + path, {
      ...options,
      headers: { ...options.headers, Authorization: `Bearer ${session.access_token}` },
    });

  // Like fetch, with the access token. It gives null if nobody is signed in any more.
  async function request(path, options = {}) {
    let session = kept();
    if (session && session.expires_at - Date.now() < EARLY_MS)
      session = await refresh(session.access_token);
    if (!session) return null;
    const answer = await send(path, options, session);
    // Other refusals with 401 ask for a fresh login, and new tokens do not help.
    if (!answer.headers.get("WWW-Authenticate")?.includes("invalid_token")) return answer;
    session = await refresh(session.access_token);
    return session && send(path, options, session);
  }

  // For a second step, send its proof to "/auth/mfa" in the same way.
  async function logIn(proof, path = "/auth/login") {
    const answer = await post(path, proof);
    if (!answer.ok) return (await answer.json()).code;
    const tokens = await answer.json();
    await alone(() => keep(tokens));
    return null;
  }

  const logOut = () =>
    alone(async () => {
      const session = kept();
      forget("logged_out");
      if (session) await post("/auth/logout", { refresh_token: session.refresh_token });
    });

  // Another tab has logged out, or was told that the session is over.
  addEventListener("storage", ({ key }) => {
    if ((key ?? KEY) === KEY && !kept()) onSignedOut("logged_out");
  });

  return { request, logIn, logOut, isSignedIn: () => kept() !== null };
}
