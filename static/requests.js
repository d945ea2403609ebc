// The queue of requests: single keys while one in the list has the focus. They lead to the page that is read first.
"use strict";

(() => {
  const list = document.querySelector("table[data-queue]");
  if (!list) return;
  const links = [...list.querySelectorAll("a.main")];
  const choice = document.querySelector("label[data-keys]");
  window.singleKeys.choice(choice);

  const step = (link, by) => { const next = links[links.indexOf(link) + by]; if (next) next.focus(); };
  const KEYS = {
    j: (link) => step(link, 1),
    k: (link) => step(link, -1),
    a: (link) => location.assign(`${link.href}#approve`),
    d: (link) => location.assign(`${link.href}#deny`),
  };
  list.addEventListener("keydown", (event) => {
    const act = KEYS[event.key];
    if (!act || !window.singleKeys.on() || event.ctrlKey || event.metaKey || event.altKey || !links.includes(event.target)) return;
    event.preventDefault();
    act(event.target);
  });
})();
