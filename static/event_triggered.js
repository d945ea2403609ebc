// An event-triggered review: notes what was on screen; keeps the focus when a decision swaps the page's part.
"use strict";

(() => {
const { beside } = window, PARTS = "fieldset[data-looked]";
let pressed = "";
const begin = () => {
  const page = document.getElementById("one");
  if (!page || page.dataset.begun) return;
  page.dataset.begun = "yes";
  const parts = [...page.querySelectorAll(PARTS)], look = (part) => beside.look(part.dataset.looked);
  for (const part of parts) {
    beside.watch(part, part.dataset.looked, () => {});
    for (const name of ["pointerenter", "focusin"]) part.addEventListener(name, () => look(part));
  }
  if (parts.length) look(parts[0]);
  if (pressed) (document.getElementById(pressed) || page).focus({ preventScroll: true });
};
document.addEventListener("submit", ({ target, submitter }) => {
  pressed = (submitter && submitter.id) || "one";
  for (const part of target.querySelectorAll(PARTS)) part.querySelector("[data-ms]").value = beside.take(part.dataset.looked);
}, true);
document.addEventListener("htmx:after:swap", begin);
begin();
})();
