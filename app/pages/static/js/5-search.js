/* Search while somebody types. */
for (const form of document.querySelectorAll("form[data-live]")) {
  let waiting, turn = 0;
  form.addEventListener("input", () => {
    clearTimeout(waiting);
    waiting = setTimeout(async () => {
      const mine = ++turn;
      const url = `${form.action}?${new URLSearchParams(new FormData(form))}`;
      const answer = await fetch(url);
      const found = new DOMParser().parseFromString(await answer.text(), "text/html").getElementById("found");
      if (!found || mine !== turn) return;
      document.getElementById("found").replaceChildren(...found.childNodes);
      history.replaceState(null, "", url);
    }, 300);
  });
}
