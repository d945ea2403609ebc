// A spot check: keys choose an answer; only the button gives it.
"use strict";

(() => {
const form = document.querySelector("form[data-spot-check]");
if (!form) return;
const why = form.querySelector("select[name=why]"), boxes = [...form.querySelectorAll("input[name=verb]")];
const show = () => {
  const verb = boxes.filter((box) => box.checked).map((box) => box.value).join();
  for (const option of why.querySelectorAll("option[data-for]")) {
    option.hidden = option.disabled = Boolean(verb) && !option.dataset.for.split(" ").includes(verb);
  }
  for (const group of why.querySelectorAll("optgroup")) group.hidden = [...group.children].every((option) => option.hidden);
  if (why.selectedOptions[0] && why.selectedOptions[0].disabled) why.value = "";
  why.required = Boolean(verb) && verb !== "certify";
};
form.addEventListener("change", show);
show();
const chosen = (letter) => { const [keep, some, revoke, , unknown] = window.singleKeys.letters(); return [keep, some, revoke, unknown].indexOf(letter); };
document.addEventListener("keydown", (event) => {
  const typing = event.target.closest("select, textarea, input:not([type=radio]), dialog");
  if (typing || event.ctrlKey || event.metaKey || event.altKey || event.defaultPrevented || !window.singleKeys.on()) return;
  const box = boxes[chosen(event.key)];
  if (!box) return;
  event.preventDefault();
  box.checked = true;
  box.focus();
  show();
});
})();
