// What script adds to pages that work without it.
"use strict";

(() => {
const all = (selector, root = document) => [...root.querySelectorAll(selector)];

// times

const absolute = new Intl.DateTimeFormat(undefined, { dateStyle: "medium", timeStyle: "short" });
const localise = (root) => {
  for (const time of all("time[datetime][title]", root)) {
    const local = absolute.format(new Date(time.dateTime));
    time.title = `${local} · ${time.dateTime.slice(0, 16).replace("T", " ")} UTC`;
    const at = time.querySelector(".at");
    if (at) at.textContent = local;
  }
};

// theme

const NEXT = { auto: "light", light: "dark", dark: "auto" };
const themed = (form) => {
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    const button = form.querySelector("button");
    const chosen = button.value;
    document.documentElement.dataset.theme = chosen;
    document.cookie = `theme=${chosen}; path=/; max-age=31536000; samesite=lax${location.protocol === "https:" ? "; secure" : ""}`;
    button.value = NEXT[chosen];
    button.querySelector("[data-now]").textContent = form.dataset[chosen];
  });
};

// command bar

// Where the reader was lately, kept in this browser until they sign out.
const KEPT = `recent-${document.body.dataset.who}`;
const recents = () => { try { return JSON.parse(localStorage.getItem(KEPT)) || []; } catch { return []; } };
const remember = () => {
  for (const form of all(".foot form:not([data-theme-form])")) form.addEventListener("submit", () => localStorage.removeItem(KEPT));
  const heading = document.querySelector("main h1");
  const menu = all(".menu nav a[href]");  // a page without one, such as an error, is no place to come back to
  const known = !menu.length || menu.some((link) => link.pathname === location.pathname);
  if (!document.body.dataset.who || !heading || known || location.pathname.split("/").length < 4) return;
  const here = { at: location.pathname, name: document.title.replace(/ · Mandate$/, "") };
  localStorage.setItem(KEPT, JSON.stringify([here, ...recents().filter((each) => each.at !== here.at)].slice(0, 6)));
};

const commandBar = () => {
  const bar = document.getElementById("command");
  if (!bar || !bar.showModal) return;
  const input = bar.querySelector("input");
  const lately = bar.querySelector(".recents");
  const fill = () => {
    const rows = input.value.trim() ? [] : recents().filter((each) => each.at !== location.pathname);
    lately.hidden = !rows.length;
    lately.firstElementChild.replaceChildren(...rows.map((each) => {
      const [row, link, kind] = ["li", "a", "span"].map((name) => document.createElement(name));
      link.href = each.at;
      link.textContent = each.name;
      kind.className = "kind";
      kind.textContent = lately.dataset.kind;
      link.append(kind);
      row.append(link);
      return row;
    }));
  };
  const open = () => { if (!bar.open) { fill(); bar.showModal(); input.select(); } };
  input.addEventListener("input", fill);
  for (const opener of all("[data-command]")) {
    opener.addEventListener("click", (event) => { event.preventDefault(); open(); });
  }
  document.addEventListener("keydown", (event) => {
    if ((event.ctrlKey || event.metaKey) && !event.altKey && event.key.toLowerCase() === "k") {
      event.preventDefault();
      open();
    }
  });
  bar.addEventListener("click", (event) => { if (event.target === bar) bar.close(); });
  bar.addEventListener("keydown", (event) => {
    if (event.key !== "ArrowDown" && event.key !== "ArrowUp") return;
    const stops = [input, ...all(".found a", bar)];
    const at = stops.indexOf(document.activeElement);
    const next = stops[at + (event.key === "ArrowDown" ? 1 : -1)];
    if (next) { event.preventDefault(); next.focus(); }
  });
  bar.querySelector("form").addEventListener("submit", (event) => {
    const first = bar.querySelector(".found a");
    if (first && input.value.trim()) { event.preventDefault(); location.assign(first.href); }
  });
};

// dialogs and pop-over forms

const dialogs = (root) => {
  for (const opener of all("[data-dialog]", root)) {
    opener.hidden = false;
    opener.addEventListener("click", () => document.getElementById(opener.dataset.dialog)?.showModal());
  }
};
const closing = () => {
  const close = (but) => { for (const open of all("details.act[open]")) if (!open.contains(but)) open.open = false; };
  document.addEventListener("click", (event) => close(event.target));
  document.addEventListener("keydown", (event) => {
    const open = event.key === "Escape" && event.target.closest("details.act[open]");
    if (open) { open.open = false; open.querySelector("summary").focus(); }
  });
};

// single keys

// Turned off or put elsewhere in the settings, or on a page with keys.
const NAMED = document.body.dataset;
window.singleKeys = {
  letters: () => NAMED.keys.split("-")[1],
  on: () => NAMED.keys.startsWith("on"),
  turn: (on) => {
    NAMED.keys = `${on ? "on" : "off"}-${window.singleKeys.letters()}`;
    document.cookie = `keys=${NAMED.keys}; path=/; max-age=31536000; samesite=lax${location.protocol === "https:" ? "; secure" : ""}`;
  },
  choice: (label) => {
    const box = label.querySelector("input");
    label.hidden = false;
    box.checked = window.singleKeys.on();
    box.addEventListener("change", () => window.singleKeys.turn(box.checked));
  },
};

const LEADS = { h: "/" };
const leading = () => {
  let begun = 0;
  document.addEventListener("keydown", (event) => {
    const typing = event.target.closest("input, textarea, select, [contenteditable], dialog");
    if (event.defaultPrevented || typing || event.ctrlKey || event.metaKey || event.altKey || !window.singleKeys.on()) { begun = 0; return; }
    const to = LEADS[event.key];
    if (to && event.timeStamp - begun < 1500) { event.preventDefault(); location.assign(to); }
    begun = event.key === "g" ? event.timeStamp : 0;
  });
};

// the approve button says what it will do

const rewriting = (form) => {
  const button = [...form.elements].find((each) => each.dataset.rewrites);
  const boxes = all("input[data-tool]", form);
  if (!button || !boxes.length) return;
  const lasts = form.querySelector("[data-lasts]");
  const rewrite = () => {
    const kept = boxes.filter((box) => box.checked).length;
    const time = lasts?.selectedOptions?.[0].textContent.trim() ?? "";
    button.disabled = kept === 0;
    button.textContent = button.dataset.rewrites
      .replace("{kept}", kept).replace("{all}", boxes.length).replace("{time}", time);
  };
  form.addEventListener("input", rewrite);
  rewrite();
};

// copying

const copying = (button) => {
  button.hidden = false;
  button.addEventListener("click", async () => {
    const from = button.dataset.copy ? document.getElementById(button.dataset.copy) : null;
    await navigator.clipboard.writeText(from ? from.textContent.trim() : location.href);
    const said = button.parentElement.querySelector("[role=status]");
    if (said) said.textContent = button.dataset.copied;
  });
};

// charts: values by hover and by arrow keys

const reading = (plotted) => {
  const xs = plotted.dataset.xs.split(" ").map(Number);
  const rows = all("tbody tr", plotted.closest(".chart"));
  const heads = all("thead th", plotted.closest(".chart")).map((head) => head.textContent);
  const drawn = plotted.querySelector(".drawn"), svg = drawn.querySelector("svg");
  const said = document.createElement("output");
  const line = document.createElementNS("http://www.w3.org/2000/svg", "line");
  if (!svg || rows.length !== xs.length) return;
  let at = -1;
  const show = (to) => {
    at = Math.max(0, Math.min(rows.length - 1, to));
    const [, , wide, high] = svg.getAttribute("viewBox").split(" ").map(Number);
    for (const [name, value] of [["x1", wide * xs[at] / 1000], ["x2", wide * xs[at] / 1000], ["y1", 0], ["y2", high]]) line.setAttribute(name, value);
    const cells = [...rows[at].cells].map((cell) => cell.textContent);
    said.textContent = `${cells[0]} · ${cells.slice(1).map((cell, n) => `${heads[n + 1]}: ${cell}`).join(" · ")}`;
  };
  const hide = () => { said.textContent = ""; line.setAttribute("x1", -9); line.setAttribute("x2", -9); };
  const nearest = (event) => {
    const box = drawn.getBoundingClientRect(), x = 1000 * (event.clientX - box.left) / box.width;
    show(xs.reduce((best, each, n) => (Math.abs(each - x) < Math.abs(xs[best] - x) ? n : best), 0));
  };
  line.setAttribute("class", "reader");
  line.setAttribute("vector-effect", "non-scaling-stroke");
  svg.append(line);
  hide();
  said.className = "reading small";
  drawn.tabIndex = 0;
  drawn.setAttribute("role", "group");
  drawn.setAttribute("aria-label", plotted.dataset.label);
  drawn.after(said);
  drawn.addEventListener("pointermove", nearest);
  drawn.addEventListener("pointerleave", hide);
  drawn.addEventListener("focus", () => show(rows.length - 1));
  drawn.addEventListener("blur", hide);
  drawn.addEventListener("keydown", (event) => {
    const to = { ArrowLeft: at - 1, ArrowRight: at + 1, Home: 0, End: rows.length - 1 }[event.key];
    if (to !== undefined) { event.preventDefault(); show(to); }
  });
};

const prepare = (root) => {
  localise(root);
  dialogs(root);
  all("form[data-theme-form]", root).forEach(themed);
  all("form[data-approval]", root).forEach(rewriting);
  all("button[data-copies]", root).forEach(copying);
  all(".plotted[data-xs]", root).forEach(reading);
};

document.addEventListener("DOMContentLoaded", () => {
  prepare(document);
  remember();
  commandBar();
  leading();
  closing();
  for (const select of all("select[data-go]")) {
    select.addEventListener("change", () => select.form.requestSubmit());
  }
  document.addEventListener("htmx:after:swap", () => localise(document));
});
})();
