// The evidence beside an item: was it on screen, for how long, what a removal would have denied.
"use strict";

window.beside = (() => {
const IDLE = 30000; // after this long without input a person is not counted as looking
const spent = new Map();
let at = "", mark = performance.now(), attentive = document.hasFocus();

const tick = () => {
  const now = performance.now();
  if (attentive && at) spent.set(at, (spent.get(at) || 0) + Math.min(now - mark, IDLE));
  mark = now;
  attentive = document.visibilityState === "visible" && document.hasFocus();
};
for (const name of ["keydown", "pointerdown", "pointermove", "scroll", "focus", "blur"]) {
  window.addEventListener(name, tick, { capture: true, passive: true });
}
document.addEventListener("visibilitychange", tick);

// What was counted for an item and not told yet.
const take = (address) => {
  tick();
  const ms = Math.round(spent.get(address) || 0);
  spent.delete(address);
  return ms;
};
const give = (address, ms) => spent.set(address, (spent.get(address) || 0) + ms); // it could not be told after all
const body = (extra) => {
  const token = document.querySelector("[name=csrfmiddlewaretoken]");
  return new URLSearchParams({ csrfmiddlewaretoken: token ? token.value : "", ...extra });
};
window.addEventListener("pagehide", () => {
  tick();
  for (const [address, ms] of [...spent].slice(0, 30)) {
    if (ms >= 1000) navigator.sendBeacon(`${address}looked/`, body({ ms: Math.round(ms) }));
  }
  spent.clear();
});

// The evidence counts as opened once a part of it was on screen for a second.
const watch = (root, address, opened) => {
  let timer = 0;
  const seen = new Set();
  const tell = async () => {
    if (!root.isConnected || !seen.size) return;
    if (document.visibilityState !== "visible") { timer = setTimeout(tell, 1000); return; }
    observer.disconnect();
    const ms = take(address);
    let answer = null;
    try {
      answer = await fetch(`${address}looked/`, { method: "POST", credentials: "same-origin", redirect: "manual", body: body({ evidence: "yes", ms }) });
    } catch { /* without a connection nothing is noted; the next look is */ }
    if (answer && answer.ok) opened(); else give(address, ms);
  };
  const observer = new IntersectionObserver((entries) => {
    for (const entry of entries) if (entry.isIntersecting) seen.add(entry.target); else seen.delete(entry.target);
    if (seen.size && !timer) timer = setTimeout(tell, 1000);
    if (!seen.size) { clearTimeout(timer); timer = 0; }
  });
  for (const part of root.querySelectorAll("[data-evidence]")) observer.observe(part);
  return () => { clearTimeout(timer); observer.disconnect(); };
};

// Unticking a tool says at once what that would have denied.
const replaying = (root, sentence) => {
  const form = root.querySelector("[data-narrow]"), said = root.querySelector("[data-would]");
  if (!form || !said) return;
  const boxes = [...form.querySelectorAll("[data-calls]")];
  const show = () => {
    const known = boxes.every((box) => box.dataset.calls !== "");
    const sum = (some) => some.reduce((all, box) => all + Number(box.dataset.calls), 0);
    const dropped = boxes.filter((box) => !box.checked);
    said.textContent = known && dropped.length ? sentence.replace("{denied}", sum(dropped)).replace("{all}", sum(boxes)) : "";
  };
  form.addEventListener("input", show);
  show();
};

const look = (address) => { tick(); at = address; };

const page = document.querySelector("[data-evidence-of]");
if (page) {
  for (const form of page.querySelectorAll(".unscripted")) form.hidden = true;
  replaying(page, page.dataset.would);
  const address = page.dataset.evidenceOf;
  if ("mine" in page.dataset) {
    look(address);
    watch(page, address, () => { page.dataset.opened = "yes"; });
  }
}
return { look, take, give, watch, replaying, body };
})();
