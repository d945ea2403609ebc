// A reviewer's first review: a practice item; nothing of it is sent or stored.
"use strict";

(() => {
const panel = document.querySelector("[data-practice]"), SKIPPED = "review-practice";
const item = panel.querySelector("[data-practice-item]"), skip = panel.querySelector("[data-skip]");
const leave = (sentence) => {
  panel.remove();
  sessionStorage.setItem(SKIPPED, "yes");
  document.dispatchEvent(new CustomEvent("practised", { detail: sentence }));
};
if (sessionStorage.getItem(SKIPPED)) { panel.remove(); document.dispatchEvent(new CustomEvent("practised")); return; }
const buttons = [...item.querySelectorAll("[data-letter]")];
const decide = (button) => leave(panel.dataset.done.replace("{verb}", button.firstChild.textContent.trim()));
for (const button of buttons) button.addEventListener("click", () => decide(button));
item.addEventListener("keydown", (event) => {
  if (event.ctrlKey || event.metaKey || event.altKey || !window.singleKeys.on()) return;
  const button = buttons.find((each) => each.dataset.letter === event.key);
  if (button) { event.preventDefault(); decide(button); }
});
skip.addEventListener("click", () => leave(""));
skip.hidden = item.hidden = false;
if (matchMedia("(any-pointer: fine)").matches) item.focus({ preventScroll: true });
})();
