// Keyboard, copying and folds, for every page. Nothing here is needed to read one.
//
//   [data-row], [data-turn]     what j and k go through; [data-open] inside is the link that o and Enter follow
//   [data-search]               the field that / goes to
//   [data-copy="ADDRESS"]       copies what stands at the address
//   [data-copy-text="TEXT"]     copies the text itself
//   details[id][data-keep]      stays open or closed from page to page; ="wide" begins closed on a narrow screen
(() => {
  "use strict";
  const all = (selector, root = document) => [...root.querySelectorAll(selector)];
  const PLACES = "[data-row], [data-turn]";
  const KEYS = [
    ["j  k", "next, previous conversation or turn"],
    ["o  Enter", "open it"],
    ["x", "unfold or fold its steps"],
    ["g", "to the top"],
    ["/", "search"],
    ["?", "these keys"],
  ];
  let current = "";

  const place = () => document.querySelector(".current");
  const choose = (element) => {
    all(".current").forEach((other) => other.classList.remove("current"));
    current = element ? element.id : "";
    if (!element) return;
    element.classList.add("current");
    element.scrollIntoView({ block: "nearest" });
    (element.querySelector("[data-open]") || element).focus({ preventScroll: true });
  };

  const step = (by) => {
    const places = all(PLACES).filter((element) => element.offsetParent !== null);
    const at = places.indexOf(place());
    if (!places.length) return;
    choose(places[at < 0 ? (by > 0 ? 0 : places.length - 1) : Math.min(Math.max(at + by, 0), places.length - 1)]);
  };

  const fold = () => {
    const folds = all("details", place() || document.querySelector("main"));
    const open = !folds.some((element) => element.open);
    folds.forEach((element) => { element.open = open; });
  };

  const help = () => {
    let dialog = document.getElementById("help");
    if (!dialog) {
      dialog = document.createElement("dialog");
      dialog.id = "help";
      dialog.className = "help";
      const heading = document.createElement("h2");
      heading.textContent = "Keys";
      const list = document.createElement("dl");
      for (const [keys, meaning] of KEYS) {
        const term = document.createElement("dt");
        for (const key of keys.split("  ")) {
          const kbd = document.createElement("kbd");
          kbd.textContent = key;
          term.append(kbd, " ");
        }
        const description = document.createElement("dd");
        description.textContent = meaning;
        list.append(term, description);
      }
      const form = document.createElement("form");
      form.method = "dialog";
      const close = document.createElement("button");
      close.textContent = "Close";
      form.append(close);
      dialog.append(heading, list, form);
      document.body.append(dialog);
    }
    if (dialog.open) dialog.close();
    else dialog.showModal();
  };

  const search = () => {
    const field = document.querySelector("[data-search]");
    if (field) { field.focus(); field.select(); }
    else location.href = document.querySelector(".brand").href;
  };

  const actions = {
    j: () => step(1),
    k: () => step(-1),
    x: fold,
    g: () => { choose(null); scrollTo({ top: 0 }); },
    "/": search,
    "?": help,
    o: () => { const link = place() && place().querySelector("[data-open]"); if (link) link.click(); },
  };

  document.addEventListener("keydown", (event) => {
    const typing = event.target.closest("input, textarea, select, [contenteditable]");
    if (event.key === "Escape" && typing) { typing.blur(); return; }
    if (typing || event.ctrlKey || event.metaKey || event.altKey || event.defaultPrevented) return;
    // Enter is a link's and a button's own where one has the focus.
    const key = event.key === "Enter" && event.target === place() ? "o" : event.key;
    if (!Object.hasOwn(actions, key) || (document.querySelector("dialog[open]") && key !== "?")) return;
    event.preventDefault();
    actions[key]();
  });

  const copy = async (button) => {
    const label = button.dataset.label ??= button.textContent;
    try {
      let text = button.dataset.copyText;
      if (text === undefined) {
        const answer = await fetch(button.dataset.copy);
        if (!answer.ok) throw new Error(String(answer.status));
        text = await answer.text();
      }
      await navigator.clipboard.writeText(text);
      button.textContent = "Copied";
    } catch {
      button.textContent = "Could not copy";
    }
    setTimeout(() => { button.textContent = label; }, 1500);
  };
  document.addEventListener("click", (event) => {
    const button = event.target.closest("[data-copy], [data-copy-text]");
    if (button) { event.preventDefault(); copy(button); }
  });

  // Folds keep their state for as long as the tab is open; where that cannot be stored they begin as they come.
  const stored = (id, value) => {
    try {
      return value === undefined ? sessionStorage.getItem(id) : sessionStorage.setItem(id, value);
    } catch { return null; }
  };
  const keep = () => all("details[id][data-keep]").forEach((element) => {
    const state = stored(`fold:${element.id}`);
    if (state !== null) element.open = state === "open";
    else if (element.dataset.keep === "wide" && matchMedia("(max-width: 900px)").matches) element.open = false;
  });
  // A click and not the toggle event: that also comes of what scripts do.
  document.addEventListener("click", (event) => {
    const summary = event.target.closest("details[id][data-keep] > summary");
    if (summary) stored(`fold:${summary.parentElement.id}`, summary.parentElement.open ? "closed" : "open");
  });

  // After a part of the page was swapped: the form says what the results show, and the chosen row stays chosen.
  const settle = () => {
    const results = document.getElementById("results");
    for (const name of ["q", "in", "sort"]) {
      const field = document.getElementById(name);
      if (results && field && field !== document.activeElement) field.value = results.dataset[name];
    }
    const element = current && document.getElementById(current);
    if (element) element.classList.add("current");
    keep();
  };
  document.addEventListener("htmx:afterSettle", settle);
  keep();
})();
