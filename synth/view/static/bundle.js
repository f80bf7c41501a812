// The filter of a static copy's list: rows that have all the words, in what they show or in what was said.
(() => {
  "use strict";
  const fold = (text) => text.normalize("NFD").replace(/\p{Mn}/gu, "").toLowerCase();
  const rows = [...document.querySelectorAll("#rows > tr")];
  const haystacks = rows.map((row, n) => fold(`${row.textContent} ${TEXTS[n] || ""}`));
  const field = document.getElementById("q");
  const show = () => {
    const words = fold(field.value).split(/\s+/).filter(Boolean);
    let shown = 0;
    rows.forEach((row, n) => {
      row.hidden = !words.every((word) => haystacks[n].includes(word));
      shown += !row.hidden;
    });
    document.getElementById("total").textContent = shown;
    document.getElementById("none").hidden = shown > 0;
    const hash = words.length ? `#q=${encodeURIComponent(field.value)}` : "";
    history.replaceState(null, "", location.pathname + hash);
  };
  document.getElementById("search").hidden = false;
  document.getElementById("search").addEventListener("submit", (event) => event.preventDefault());
  field.addEventListener("input", show);
  if (location.hash.startsWith("#q=")) {
    field.value = decodeURIComponent(location.hash.slice(3));
    show();
  }
})();
