// Passkeys. The browser makes or uses one, and the form carries its answer to the server.

const forms = document.querySelectorAll("form[data-passkey]");
// A browser runs one ceremony at a time. One that somebody asked for is not replaced by suggestions.
let ceremony;
let isAsked = false;

const bytes = (text) => Uint8Array.from(atob(text.replace(/-/g, "+").replace(/_/g, "/")), (one) => one.charCodeAt(0));
const written = (buffer) => btoa(String.fromCharCode(...new Uint8Array(buffer))).replace(/\+/g, "-").replace(/\//g, "_").replace(/=/g, "");

// Browsers before 2025 do not read and write JSON.
function read(kind, options) {
  const name = kind === "create" ? "parseCreationOptionsFromJSON" : "parseRequestOptionsFromJSON";
  if (PublicKeyCredential[name]) return PublicKeyCredential[name](options);
  const listed = (keys) => keys?.map((key) => ({ ...key, id: bytes(key.id) }));
  return {
    ...options,
    challenge: bytes(options.challenge),
    ...(options.user && { user: { ...options.user, id: bytes(options.user.id) } }),
    ...(options.excludeCredentials && { excludeCredentials: listed(options.excludeCredentials) }),
    ...(options.allowCredentials && { allowCredentials: listed(options.allowCredentials) }),
  };
}

function write(credential) {
  if (credential.toJSON) return credential.toJSON();
  const response = {};
  for (const name of ["clientDataJSON", "attestationObject", "authenticatorData", "signature", "userHandle"]) {
    if (credential.response[name]) response[name] = written(credential.response[name]);
  }
  response.transports = credential.response.getTransports?.();
  return { id: credential.id, rawId: written(credential.rawId), type: credential.type, response };
}

async function begin(form) {
  if (form.dataset.begun) return JSON.parse(form.dataset.begun);
  const answer = await fetch(form.dataset.from, { method: "POST", headers: { "Content-Type": "application/json" }, body: "{}" });
  if (answer.ok) return answer.json();
  // The login is over, or too old. The page leads to where one proves it again.
  if (answer.status === 401) location.reload();
  throw new Error(answer.status);
}

async function use(form, mediation) {
  ceremony?.abort();
  const mine = (ceremony = new AbortController());
  const begun = await begin(form);
  const asked = { publicKey: read(form.dataset.passkey, begun.options), signal: mine.signal };
  if (mediation) asked.mediation = mediation;
  const credential = await navigator.credentials[form.dataset.passkey](asked);
  const { elements } = form;
  elements.ceremony.value = begun.ceremony;
  elements.credential.value = JSON.stringify(write(credential));
  // "Stay signed in" is a box of another form of the page.
  const box = document.getElementById(form.dataset.box);
  if (box) elements[box.name].disabled = !box.checked;
  form.requestSubmit();
}

// Passkeys stand among the suggestions of the field for the username, until one is chosen.
async function suggest(form) {
  const isPossible = "suggests" in form.dataset && (await PublicKeyCredential.isConditionalMediationAvailable?.());
  // Meanwhile somebody may have pressed the button.
  if (isPossible && !isAsked) use(form, "conditional").catch(() => {});
}

function refuse(form, error) {
  const { cancelled, exists, failed } = form.dataset;
  const alert = form.querySelector("[role=alert]");
  alert.textContent = { NotAllowedError: cancelled, InvalidStateError: exists ?? failed }[error.name] ?? failed;
  alert.hidden = false;
}

for (const form of globalThis.PublicKeyCredential && navigator.credentials ? forms : []) {
  form.hidden = false;
  document.querySelector("[data-no-passkeys]")?.remove();
  form.addEventListener("submit", async (event) => {
    if (form.elements.credential.value) return;
    event.preventDefault();
    event.stopPropagation();
    form.querySelector("[role=alert]").hidden = true;
    isAsked = true;
    try {
      await use(form);
    } catch (error) {
      // Another press of the button has taken its place.
      if (error.name === "AbortError") return;
      isAsked = false;
      refuse(form, error);
      suggest(form);
    }
  });
  suggest(form);
  // What was begun works for five minutes.
  if ("suggests" in form.dataset) setInterval(() => suggest(form), 240_000);
  addEventListener("pageshow", () => { form.elements.credential.value = ""; });
}

// Password managers stop to offer passkeys that do not work any more.
for (const { dataset } of document.querySelectorAll("[data-signal]")) {
  globalThis.PublicKeyCredential?.[dataset.signal]?.(JSON.parse(dataset.value)).catch(() => {});
}
