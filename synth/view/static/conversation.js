// Folds of a conversation's page: what is inside a step is a page of its own, brought here when its fold is opened, and
// an address that points at a step opens it, and the fold around it.
(() => {
  "use strict";
  // A copy that is opened from the disk may load nothing; then the link to the part stays.
  const bring = async (fold) => {
    const waiting = fold.querySelector(":scope > .waiting");
    if (!waiting || !fold.open || !location.protocol.startsWith("http")) return;
    const address = waiting.querySelector("a").href;
    const id = new URL(address).hash.slice(1);
    try {
      const answer = await fetch(address);
      if (!answer.ok) return;
      const page = new DOMParser().parseFromString(await answer.text(), "text/html");
      const part = id ? page.getElementById(id) : page.querySelector(".inside");
      for (const name of ["href", "src"]) {
        for (const element of part.querySelectorAll(`[${name}]`)) {
          const value = element.getAttribute(name);
          if (!value.startsWith("#")) element.setAttribute(name, new URL(value, address).href);
        }
      }
      waiting.replaceWith(part);
    } catch { /* the link leads there all the same */ }
  };
  const reveal = () => {
    const target = document.getElementById(location.hash.slice(1));
    if (!target) return;
    for (let fold = target.closest("details"); fold; fold = fold.parentElement.closest("details")) fold.open = true;
    target.scrollIntoView({ block: "start" });
  };
  document.addEventListener("toggle", (event) => { if (event.target.matches("details")) bring(event.target); }, true);
  addEventListener("hashchange", reveal);
  document.addEventListener("DOMContentLoaded", () => setTimeout(reveal));
})();
