import { openSession } from "./session.js";

const SENTENCES = {
  logged_out: "You are logged out.",
  invalid_credentials: "The name or the password is not right.",
  mfa_required:
    "This account has a second step, which this page leaves out: send mfa_token and the code to /auth/mfa, as docs/second-factors.md shows.",
  invalid_refresh_token: "Your session is over. Please log in again.",
  refresh_token_reused:
    "Somebody may have copied your session, so it was ended. Log in, and change your password if you have doubts.",
};
const find = (id) => document.getElementById(id);

function show(part, reason) {
  find("login").hidden = part !== "login";
  find("account").hidden = part !== "account";
  find("reason").textContent = reason ? (SENTENCES[reason] ?? reason) : "";
}

const session = openSession(document.querySelector("meta[name=api]").content, (code) =>
  show("login", code),
);

async function showAccount() {
  const answer = await session.request("/users/me");
  // Where nobody is signed in any more, the page has gone to the login by itself.
  if (!answer) return;
  const body = await answer.json();
  find("name").textContent = answer.ok ? `Hello, ${body.username}` : body.detail;
  show("account");
}

find("login").addEventListener("submit", async (event) => {
  event.preventDefault();
  const refusal = await session.logIn(Object.fromEntries(new FormData(event.target)));
  event.target.password.value = "";
  if (refusal) show("login", refusal);
  else await showAccount();
});
find("again").addEventListener("click", showAccount);
find("logout").addEventListener("click", session.logOut);

if (session.isSignedIn()) await showAccount();
else show("login");
