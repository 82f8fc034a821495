// Exact times in the reader's time zone. The server writes them in UTC.
const format = new Intl.DateTimeFormat(document.documentElement.lang, { dateStyle: "medium", timeStyle: "short" });

for (const time of document.querySelectorAll("time[datetime]")) {
  const exact = time.querySelector(".exact");
  if (exact) exact.textContent = format.format(new Date(time.dateTime));
}
