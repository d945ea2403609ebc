// What script adds to lists that work without it.
"use strict";

(() => {
const all = (selector, root = document) => [...root.querySelectorAll(selector)];
const menus = () => all("details.facet[open]");

document.addEventListener("click", (event) => {
  for (const menu of menus()) if (!menu.contains(event.target)) menu.open = false;
});
document.addEventListener("keydown", (event) => {
  if (event.key !== "Escape") return;
  for (const menu of menus()) {
    menu.open = false;
    if (menu.contains(document.activeElement)) menu.querySelector("summary").focus();
  }
});

// A swapped list keeps what was typed since, and the focus near what was chosen.
let kept = null;
document.addEventListener("htmx:before:swap", () => {
  const active = document.activeElement;
  const menu = active && active.closest("details.facet");
  kept = {
    menu: menu && menu.querySelector("summary").id,
    isOpen: menu && menu.hasAttribute("data-many"),
    typed: active && active.matches(".list input[type=search]") ? { id: active.id, value: active.value } : null,
  };
});

const ticking = (list) => {
  const every = list.querySelector("[data-tick-all]");
  const boxes = all("tbody .tick input", list);
  const words = list.querySelector("[data-ticked]");
  if (!every || !words || every.dataset.ready) return;
  const everywhere = list.querySelector("[data-all]");
  const usual = words.textContent;
  every.dataset.ready = "yes";
  every.hidden = false;
  const count = () => {
    const ticked = boxes.filter((box) => box.checked).length;
    every.checked = ticked > 0 && ticked === boxes.length;
    every.indeterminate = ticked > 0 && ticked < boxes.length;
    words.textContent = ticked ? words.dataset.ticked.replace("{n}", ticked) : usual;
    if (everywhere && ticked < boxes.length) everywhere.checked = false;
  };
  if (everywhere) everywhere.addEventListener("change", () => { for (const box of boxes) box.checked = everywhere.checked; count(); });
  every.addEventListener("change", () => { for (const box of boxes) box.checked = every.checked; count(); });
  for (const box of boxes) box.addEventListener("change", count);
  count();
};

// A long file says how far it is; a short one the browser fetches by itself.
const LONG = 5000;
const exporting = async (link, menu) => {
  const said = menu.querySelector("[role=status]");
  const rows = Number(menu.dataset.export);
  const number = new Intl.NumberFormat(document.documentElement.lang);
  const parts = [];
  let count = 0;
  try {
    const answer = await fetch(link.href, { credentials: "same-origin" });
    if (!answer.ok) throw new Error(answer.status);
    const reader = answer.body.getReader();
    for (let part = await reader.read(); !part.done; part = await reader.read()) {
      parts.push(part.value);
      for (const byte of part.value) if (byte === 10) count += 1;
      said.textContent = menu.dataset.words.replace("{n}", number.format(count)).replace("{all}", number.format(Math.max(rows, count)));
    }
    const file = document.createElement("a");
    file.href = URL.createObjectURL(new Blob(parts, { type: answer.headers.get("Content-Type") }));
    file.download = /filename="([^"]+)"/.exec(answer.headers.get("Content-Disposition"))[1];
    file.click();
    setTimeout(() => URL.revokeObjectURL(file.href), 60000);
  } catch {
    said.textContent = said.dataset.failed;
  }
};
document.addEventListener("click", (event) => {
  const link = event.target.closest("[data-export] a");
  const menu = link && link.closest("[data-export]");
  if (!menu || Number(menu.dataset.export) < LONG || event.ctrlKey || event.metaKey || event.shiftKey) return;
  event.preventDefault();
  exporting(link, menu);
});

const prepare = () => all(".list").forEach(ticking);
document.addEventListener("htmx:after:swap", () => {
  const summary = kept && kept.menu && document.getElementById(kept.menu);
  if (summary && kept.isOpen) summary.parentElement.open = true;
  else if (summary) summary.focus();
  const input = kept && kept.typed && document.getElementById(kept.typed.id);
  if (input) input.value = kept.typed.value;
  kept = null;
  prepare();
});
document.addEventListener("DOMContentLoaded", prepare);
})();
