// The queue of requests: single keys while one in the list has the focus.
"use strict";

(() => {
const queue = document.querySelector("[data-queue]");
if (!queue) return;
window.singleKeys.choice(document.querySelector("label[data-keys]"));

const links = () => [...queue.querySelectorAll("a.main")];
const step = (link, by) => { const all = links(), next = all[all.indexOf(link) + by]; if (next) next.focus(); };
const KEYS = {
  j: (link) => step(link, 1),
  k: (link) => step(link, -1),
  a: (link) => location.assign(`${link.href}#approve`),
  d: (link) => location.assign(`${link.href}#deny`),
};
queue.addEventListener("keydown", (event) => {
  const act = KEYS[event.key];
  if (!act || !window.singleKeys.on() || event.ctrlKey || event.metaKey || event.altKey || !event.target.matches("a.main")) return;
  event.preventDefault();
  act(event.target);
});
})();
