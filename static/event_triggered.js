// A small review: its page is the evidence, so what of it was on screen, and for how long, is noted as beside any item.
"use strict";

(() => {
const parts = [...document.querySelectorAll("fieldset[data-looked]")], beside = window.beside;
if (!parts.length) return;
const look = (part) => beside.look(part.dataset.looked);
for (const part of parts) {
  beside.watch(part, part.dataset.looked, () => {});
  for (const name of ["pointerenter", "focusin"]) part.addEventListener(name, () => look(part));
}
look(parts[0]);

// What was counted and not told yet goes with the answer, since nothing is counted after it.
parts[0].form.addEventListener("submit", () => {
  for (const part of parts) part.querySelector("[data-ms]").value = beside.take(part.dataset.looked);
});
})();
