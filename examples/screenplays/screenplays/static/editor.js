// The editor saves by itself. Without this script its button saves, as in every other form.

const editor = document.querySelector("[data-screenplay]");
const form = document.getElementById("form");
const { title, logline, text, version } = form.elements;
const button = form.querySelector("button.main");
const said = document.getElementById("saving");
const problem = document.getElementById("unsaved");
const conflict = document.getElementById("conflict");
const label = button.textContent;
const SOON = 3_000, LATER = 15_000;
// Saves of ten minutes are one version, or a day of writing would fill the list of versions.
const ONE_VERSION = 600_000;

// What the server has. A form that was refused shows what it does not have.
let saved = "refused" in editor.dataset ? "" : JSON.stringify({
  title: title.defaultValue, logline: logline.defaultValue, text: text.defaultValue,
});
let tag, begun, waiting;
let saving = Promise.resolve();
let isInConflict = !conflict.hidden;

const written = () => JSON.stringify({ title: title.value, logline: logline.value, text: text.value });

function say(name) {
  said.textContent = said.dataset[name] ?? "";
  const sentence = problem.dataset[name] ?? "";
  const [paragraph, login] = problem.children;
  // An alert that says the same again is read aloud again.
  if (paragraph.textContent !== sentence) paragraph.textContent = sentence;
  problem.hidden = !sentence;
  login.hidden = name !== "loggedOut";
}

// One save after the other: each needs the tag that the one before it got.
function save(isAsked) {
  clearTimeout(waiting);
  waiting = null;
  saving = saving.then(() => attempt(isAsked));
}

function saveIn(time) {
  waiting ??= setTimeout(save, time);
}

async function attempt(isAsked) {
  const content = written();
  if (isInConflict && !isAsked) return;
  if (content === saved) {
    // Somebody who presses the button wants this one to stay among the versions.
    if (isAsked) begun = null;
    return say("saved");
  }
  if (!form.checkValidity()) return say("unsaved");
  say("saving");
  try {
    if (!tag && !(await read())) return;
    const amends = Boolean(begun) && Date.now() - begun < ONE_VERSION;
    const answer = await fetch(editor.dataset.screenplay, {
      method: "PATCH",
      headers: { "Content-Type": "application/json", "If-Match": tag },
      body: JSON.stringify({ ...JSON.parse(content), amends }),
    });
    if (answer.status === 412) return await meet();
    if (!answer.ok) return refuse(answer.status);
    take(answer, await answer.json());
    saved = content;
    if (isAsked) begun = null;
    else if (!amends) begun = Date.now();
    settle(false);
    if (written() === saved) say("saved");
    await show();
  } catch {
    refuse(0);
  }
}

// The tag of the version that the page shows. False if the server has another version.
async function read() {
  const answer = await fetch(editor.dataset.screenplay);
  if (!answer.ok) {
    refuse(answer.status);
    return false;
  }
  const found = await answer.json();
  const isOurs = String(found.version) === version.value;
  take(answer, found);
  if (!isOurs) settle(true);
  return isOurs;
}

// Somebody else has saved. The choice is made by the button, or by the link to the other one.
async function meet() {
  tag = null;
  await read();
}

function take(answer, { version: number }) {
  // A proxy that compresses makes a strong tag weak.
  tag = answer.headers.get("ETag").replace("W/", "");
  version.value = number;
}

function settle(isOpen) {
  isInConflict = isOpen;
  if (isOpen) {
    begun = null;
    say("");
  }
  conflict.hidden = !isOpen;
  button.textContent = isOpen ? editor.dataset.over : label;
}

function refuse(status) {
  if (status === 401) return say("loggedOut");
  const isPassing = status === 0 || status === 429 || status >= 500;
  say(isPassing ? "away" : "refused");
  if (isPassing) saveIn(LATER);
}

// The scenes and the preview, as the server makes them.
async function show() {
  const answer = await fetch(location.pathname);
  const page = new DOMParser().parseFromString(await answer.text(), "text/html");
  for (const part of [".scenes ol", ".sheet"]) {
    const fresh = page.querySelector(part);
    if (fresh) document.querySelector(part).replaceChildren(...fresh.childNodes);
  }
}

form.addEventListener("input", () => {
  if (!isInConflict && problem.hidden) say("unsaved");
  saveIn(SOON);
});
form.addEventListener("submit", (event) => {
  // The form would lose the text if the login is over.
  event.preventDefault();
  event.stopPropagation();
  save(true);
});
document.addEventListener("visibilitychange", () => { if (document.hidden) save(); });
// Somebody comes back from logging in in another window.
addEventListener("focus", () => { if (written() !== saved) save(); });
addEventListener("beforeunload", (event) => { if (written() !== saved) event.preventDefault(); });
