// Judging with the keyboard, and what went wrong said where it was tried. HTMX sends and saves.
(() => {
  "use strict";
  const by = (id) => document.getElementById(id);

  // ---- what went wrong

  const place = (element) => {
    const root = element.closest("form, section") || document;
    return root.querySelector("[data-problem]") || root.parentElement.querySelector("[data-problem]");
  };
  const say = (element, text) => {
    const line = place(element);
    if (line) line.textContent = text;
  };
  document.addEventListener("htmx:beforeRequest", (event) => {
    if (event.detail.requestConfig.verb === "post") say(event.detail.requestConfig.elt, "");
  });
  document.addEventListener("htmx:responseError", (event) => {
    const { xhr, requestConfig: { elt } } = event.detail;
    const plain = (xhr.getResponseHeader("content-type") || "").startsWith("text/plain");
    const told = plain ? null : new DOMParser().parseFromString(xhr.responseText, "text/html").querySelector(".message p");
    say(elt, plain ? xhr.responseText : told ? told.textContent : `Not saved: the server answered ${xhr.status}.`);
  });
  document.addEventListener("htmx:sendError", (event) => {
    say(event.detail.requestConfig.elt, "Not saved: the server does not answer. Is synth view still running?");
  });

  // ---- pairs: one aspect after the other

  const aspects = () => [...document.querySelectorAll("[data-aspect]")];
  const answered = (aspect) => aspect.querySelector(":checked") !== null;
  const mark = () => {
    const asking = aspects().find((aspect) => !answered(aspect));
    aspects().forEach((aspect) => aspect.classList.toggle("asking", aspect === asking));
  };
  const answer = (value) => {
    const aspect = aspects().find((other) => !answered(other));
    if (aspect) aspect.querySelector(`[value=${value}]`).click();
  };
  const takeBack = () => {
    const last = aspects().filter(answered).pop();
    if (last) last.querySelector(":checked").checked = false;
    mark();
  };
  document.addEventListener("change", (event) => {
    if (event.target.closest("#ballot")) say(event.target, "");
    mark();
  });
  document.addEventListener("htmx:afterSettle", mark);
  mark();

  // ---- keys

  const click = (selector) => () => {
    const element = document.querySelector(selector);
    if (element) element.click();
    return element !== null;
  };
  const VERDICT = {
    1: click("#verdict-good"), 2: click("#verdict-unsure"), 3: click("#verdict-bad"), 0: click("#verdict-none"),
    n: () => by("verdict-note").focus(), ".": click("[data-next]"),
  };
  const PAIR = {
    a: () => answer("left"), t: () => answer("tie"), b: () => answer("right"), Backspace: takeBack,
    s: click("[data-skip]"), Enter: click("#save"),
  };
  document.addEventListener("keydown", (event) => {
    const reply = event.target.closest("#reply-text");
    if (reply && event.key === "Enter" && (event.ctrlKey || event.metaKey)) {
      event.preventDefault();
      reply.form.requestSubmit();
      return;
    }
    const typing = event.target.closest("input:not([type=radio]), textarea, select, [contenteditable]");
    if (typing || event.ctrlKey || event.metaKey || event.altKey || document.querySelector("dialog[open]")) return;
    const keys = by("verdict-form") ? VERDICT : by("ballot") ? PAIR : {};
    if (!Object.hasOwn(keys, event.key) || (event.key === "Enter" && event.target.closest("a, button, summary"))) return;
    event.preventDefault();
    keys[event.key]();
  });
})();
