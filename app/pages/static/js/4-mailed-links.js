// The page of a mailed link. Its token is in the fragment, which a browser sends to no server. The
// token leaves the address bar at once, and the server says what the link is for.

const place = document.querySelector("[data-mailed-link]");
if (place) begin(place.dataset.mailedLink);

document.addEventListener("submit", (event) => {
  // What is sent may be used up by that. A page that is refused brings the token back.
  const from = event.target.closest("[data-mailed-link]");
  if (from) keep(from.dataset.mailedLink, null);
});
// A link that is opened from the same page does not load it again.
addEventListener("hashchange", () => { if (linked()) location.reload(); });

function linked() {
  return new URLSearchParams(location.hash.slice(1)).get("token");
}

// The tab keeps the token, so that the page can be loaded again, and forgets it when it is closed.
function keep(name, token) {
  let state = null;
  try {
    if (token) sessionStorage.setItem(name, token);
    else sessionStorage.removeItem(name);
  } catch {
    // The browser stores nothing for us. The entry of this page in the tab can hold the token.
    state = token && { token };
  }
  history.replaceState(state, "", location.pathname);
}

function kept(name) {
  try {
    return sessionStorage.getItem(name);
  } catch {
    return history.state?.token;
  }
}

function begin(name) {
  const field = place.querySelector("[name=token]");
  const token = linked() || field.value || kept(name);
  if (!token) return;
  keep(name, token);
  if (field.value) return;
  field.value = token;
  look(field.form);
}

async function look(form) {
  try {
    const answer = await fetch(form.action, { method: "POST", body: new URLSearchParams(new FormData(form)) });
    const page = new DOMParser().parseFromString(await answer.text(), "text/html");
    document.querySelector("main").replaceChildren(...page.querySelector("main").childNodes);
    document.title = page.title;
    document.dispatchEvent(new Event("content"));
  } catch {
    // The server cannot be reached. The form stays, and its button tries again.
  }
}
