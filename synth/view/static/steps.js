// In a static copy, a conversation's steps, and what each side could see, are pages of their own: opening a fold
// brings its part into it. Opened from the disk, a page may load nothing; then the link to the part stays.
(() => {
  "use strict";
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
  document.addEventListener("toggle", (event) => { if (event.target.matches("details")) bring(event.target); }, true);
})();
