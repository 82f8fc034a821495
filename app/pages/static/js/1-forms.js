// Forms work without this: it shows passwords and progress, and moves the focus to what is wrong.

function prepare() {
  document.querySelectorAll("[data-shows]").forEach(prepareShow);
  document.querySelector("[data-focus]")?.focus();
}

function prepareShow(button) {
  const field = document.getElementById(button.dataset.shows);
  const show = button.textContent;
  button.hidden = false;
  button.addEventListener("click", () => {
    const shown = field.type === "password";
    field.type = shown ? "text" : "password";
    button.textContent = shown ? button.dataset.hide : show;
    button.setAttribute("aria-pressed", shown);
  });
  // Browsers remember what was typed into fields of text.
  field.form.addEventListener("submit", () => { field.type = "password"; });
}

prepare();
// A script has put something new into the page.
document.addEventListener("content", prepare);

// Hashing a password takes a moment. The button says so, and a second press sends nothing.
document.addEventListener("submit", (event) => {
  const form = event.target;
  // After a download the page stays, and its button may be pressed again.
  if ("download" in form.dataset) return;
  if (form.dataset.sent) return event.preventDefault();
  form.dataset.sent = "yes";
  const button = event.submitter;
  if (!button?.dataset.busy) return;
  button.dataset.label = button.textContent;
  button.textContent = button.dataset.busy;
  button.setAttribute("aria-busy", true);
});

// The browser may show the page again as it was left, or the answer was a download.
function ready() {
  for (const form of document.forms) delete form.dataset.sent;
  for (const button of document.querySelectorAll("[aria-busy]")) {
    button.textContent = button.dataset.label;
    button.removeAttribute("aria-busy");
  }
}
addEventListener("pageshow", ready);
