// The workbench: keys, details beside the list, several at once, drafts kept as they change.
"use strict";

(() => {
const form = document.querySelector("form[data-workbench]");
if (!form) return;
const words = form.dataset, beside = window.beside;
const grid = form.querySelector("[role=grid]"), status = form.querySelector("[data-status]");
const banner = form.querySelector("[data-banner]"), aside = document.querySelector("aside[data-beside]");
const rows = [...grid.querySelectorAll("tr[data-item]")];
const states = new Map(), undo = [], waiting = new Set(), conflicts = new Set();
const wide = matchMedia("(min-width: 1240px)"), roomy = matchMedia("(min-width: 1440px)");
const STORE = `review:${location.pathname}`;
let current = rows[0], offline = false, isOut = false, retry = 0;
form.classList.add("scripted");

const say = (sentence, row, more = {}) => {
  status.textContent = Object.entries({ name: row ? row.dataset.name : "", undo: window.singleKeys.letters()[5], ...more }).reduce((said, [name, value]) => said.replace(`{${name}}`, value), sentence);
};
const part = (row, name) => row.querySelector(`[name="${name}:${row.dataset.item}"]`);
const chosen = (row) => { const box = row.querySelector("input[type=radio]:checked"); return box ? box.value : ""; };
const ticks = (row) => [...row.querySelectorAll("input[name^='keep:']")];
const read = (row) => ({
  verb: chosen(row), reason: part(row, "reason").value, comment: part(row, "comment").value,
  until: part(row, "until").value, kept: ticks(row).filter((box) => box.checked).map((box) => box.value).join(),
});
const FAMILIES = { certify: "keep", reduce: "drop", revoke: "drop", abstain: "abstain" }; // a reason of a script, beyond the five, stays
const fitting = (row) => [...part(row, "reason").querySelectorAll("option[data-for]")].filter((option) => !option.hidden);
const isWritten = (text) => (text.match(/[\p{L}\p{N}]/gu) || []).length >= 10; // as the server counts it
const same = (one, other) => Object.keys(one).every((name) => one[name] === other[name]);

const show = (row) => {
  const verb = chosen(row);
  if (verb) row.dataset.verb = verb; else delete row.dataset.verb;
  const select = part(row, "reason");
  const picked = select.value;
  for (const option of select.querySelectorAll("option[data-for]")) {
    const kept = verb && option.value === picked && FAMILIES[verb] === FAMILIES[option.dataset.for.split(" ")[0]];
    option.hidden = option.disabled = Boolean(verb) && !kept && !option.dataset.for.split(" ").includes(verb);
  }
  for (const group of select.querySelectorAll("optgroup")) group.hidden = [...group.children].every((option) => option.hidden);
  if (select.selectedOptions[0] && select.selectedOptions[0].disabled) select.value = "";
  const until = part(row, "until");
  row.querySelector("[data-tight]").hidden = verb !== "reduce" || !revision(row).dataset.limits;
  until.disabled = verb === "abstain";
  until.max = verb === "revoke" ? until.dataset.latest || "" : "";
  const needed = ["reduce", "revoke", "abstain"].includes(verb) || (verb === "certify" && "weighty" in row.dataset);
  const answer = row.querySelector(".answer");
  answer.classList.toggle("wanting", needed && !select.value);
  answer.classList.toggle("wordless", verb === "certify" && "words" in row.dataset && !isWritten(part(row, "comment").value));
};

const write = (row, state) => {
  for (const box of row.querySelectorAll("input[type=radio]")) box.checked = box.value === state.verb;
  for (const box of ticks(row)) box.checked = state.kept.split(",").includes(box.value);
  part(row, "comment").value = state.comment;
  part(row, "until").value = state.until;
  part(row, "reason").value = "";
  show(row);
  part(row, "reason").value = state.reason;
  show(row);
};

// keeping drafts

const timers = new Map(), busy = new Set(), drafted = new Set(rows.filter((row) => row.dataset.verb));

// What could not be sent outlives a reload of this tab.
const revision = (row) => row.querySelector("[data-rev]");
const stored = () => JSON.parse(sessionStorage.getItem(STORE) || "{}");
const remember = () => {
  const unsent = stored();
  for (const row of rows) delete unsent[row.dataset.item];
  for (const row of [...waiting, ...conflicts]) unsent[row.dataset.item] = { ...read(row), rev: conflicts.has(row) ? null : revision(row).value };
  if (Object.keys(unsent).length) sessionStorage.setItem(STORE, JSON.stringify(unsent)); else sessionStorage.removeItem(STORE);
};

const send = async (row) => {
  if (busy.has(row)) { waiting.add(row); return; }
  waiting.delete(row);
  const id = row.dataset.item, state = read(row), ms = beside.take(row.dataset.at);
  const body = beside.body({
    [`verb:${id}`]: state.verb, [`reason:${id}`]: state.reason, [`comment:${id}`]: state.comment,
    [`until:${id}`]: state.until, [`rev:${id}`]: revision(row).value, ms,
  });
  if (state.verb === "reduce") {
    for (const line of state.kept.split(",")) body.append(`keep:${id}`, line);
    body.append(`limits:${id}`, revision(row).dataset.limits);
  }
  busy.add(row);
  let answer = null, told = null;
  try {
    answer = await fetch(`${row.dataset.at}draft/`, { method: "POST", body, credentials: "same-origin", redirect: "manual" });
    told = await answer.json();
  } catch { /* without a connection, or no answer of the workbench: said below */ }
  const isKept = Boolean(answer && answer.ok && told && told.rev);
  if (isKept) revision(row).value = told.rev;
  busy.delete(row); // not before the revision is known: whatever is sent next names it
  // A redirect leads to the sign-in; a 403 without words of ours: a new sign-in happened since.
  isOut = Boolean(answer && !told && (answer.type === "opaqueredirect" || answer.status === 403));
  if (isOut || !answer || answer.status >= 500 || (answer.ok && !isKept)) {
    waiting.add(row);
    beside.give(row.dataset.at, ms);
    lost();
    return;
  }
  if (isKept) {
    row.querySelector("[data-said]").textContent = state.verb ? words.kept : "";
    if (state.verb) drafted.add(row); else drafted.delete(row);
    const progress = document.querySelector("[data-progress]");
    if (progress && told.progress) progress.innerHTML = told.progress;
    words.drafted = Math.max(told.drafted, drafted.size); // answers overtake each other, and each counts for itself
    if (!conflicts.has(row)) row.querySelector("[data-conflict]").hidden = true;
    if (waiting.has(row)) send(row);
  } else {
    refused(row, answer.status, told || {});
  }
  if (offline && !waiting.size) { offline = false; banner.hidden = true; say(words.online); }
  remember();
};

// Another was quicker: what was typed here stays, and counts once it is confirmed.
const refused = (row, code, told) => {
  const shown = row.querySelector("[data-conflict]");
  const at = told.saved_at ? new Date(told.saved_at).toLocaleTimeString([], { timeStyle: "short" }) : "";
  const stale = code === 412;
  const sentence = stale ? words.stale.replace("{name}", row.dataset.name).replace("{time}", at) : told.message || String(code);
  const gone = code === 403 || code === 404 ? `${words.gone.replace("{name}", row.dataset.name)} ` : "";
  shown.textContent = gone + sentence;
  shown.hidden = false;
  if (stale) {
    conflicts.add(row);
    revision(row).value = told.rev;
    const mine = document.createElement("button");
    mine.type = "button";
    mine.className = "small";
    mine.textContent = words.mine;
    mine.addEventListener("click", () => { confirm(row); focus(row); });
    shown.append(" ", mine);
  }
  if (told.code === "sod_violation_open") { // shown as it is kept: the answer before, or none
    for (const box of row.querySelectorAll("input[type=radio]")) box.checked = box.value === (told.verb || "");
    show(row);
    states.set(row, read(row));
  }
  row.querySelector("[data-said]").textContent = "";
  say(shown.textContent, row);
};
const confirm = (row) => {
  conflicts.delete(row);
  row.querySelector("[data-conflict]").hidden = true;
  send(row);
};

const lost = () => {
  offline = true;
  banner.hidden = false;
  for (const each of banner.querySelectorAll("[data-out]")) each.hidden = (each.dataset.out === "yes") !== isOut;
  say(isOut ? words.out : words.offline);
  remember();
  clearTimeout(retry);
  if (!isOut) retry = setTimeout(() => { for (const row of [...waiting]) send(row); }, 3000); // after a sign-out the form no longer counts
};
window.addEventListener("online", () => { for (const row of [...waiting]) send(row); });
window.addEventListener("beforeunload", (event) => { if ((waiting.size && !isOut) || timers.size || busy.size) event.preventDefault(); });

const changed = (row, quiet) => {
  show(row);
  mirror(row);
  const before = states.get(row), now = read(row);
  if (same(before, now)) return;
  const last = undo[undo.length - 1];
  if (!quiet && !(last && last[0] === row)) undo.push([row, before]); // an answer and its reason are undone together
  states.set(row, now);
  if (conflicts.has(row)) return;
  clearTimeout(timers.get(row));
  timers.set(row, setTimeout(() => { timers.delete(row); send(row); }, 300));
};

const settle = async () => {
  for (const [row, timer] of timers) { clearTimeout(timer); timers.delete(row); waiting.add(row); }
  for (const row of [...waiting]) await send(row);
  for (let tries = 0; busy.size && tries < 100; tries += 1) await new Promise((done) => { setTimeout(done, 50); });
};

// moving, groups and finding

const here = (row) => {
  if (!row || row === current) return;
  if (current) current.tabIndex = -1;
  current = row;
  row.tabIndex = 0;
};
const focus = (row) => {
  if (!row) return;
  unfold(row.parentElement);
  here(row);
  row.focus();
  row.scrollIntoView({ block: "nearest" });
};
const shown = () => rows.filter((row) => !row.hidden);
const step = (row, by) => { const some = shown(), to = some[some.indexOf(row) + by]; focus(to); return Boolean(to); };
const groups = [...grid.querySelectorAll("tbody")];
const jump = (row, by) => {
  const some = groups.filter((group) => [...group.querySelectorAll("tr[data-item]")].some((each) => !("away" in each.dataset)));
  const to = some[some.indexOf(row.parentElement) + by];
  if (to) focus([...to.querySelectorAll("tr[data-item]")].find((each) => !("away" in each.dataset)));
};
const place = () => {
  for (const row of rows) row.hidden = "away" in row.dataset || "folded" in row.parentElement.dataset;
  for (const group of groups) group.hidden = [...group.querySelectorAll("tr[data-item]")].every((row) => "away" in row.dataset);
};
const unfold = (group, on = true) => {
  const button = group.querySelector("[data-fold]");
  if (!button) return;
  if (on) delete group.dataset.folded; else group.dataset.folded = "";
  button.setAttribute("aria-expanded", String(on));
  place();
};
for (const button of grid.querySelectorAll("[data-fold]")) {
  button.hidden = false;
  button.setAttribute("aria-expanded", "false");
  button.addEventListener("click", () => unfold(button.closest("tbody"), button.getAttribute("aria-expanded") !== "true"));
}
place();
const find = document.querySelector("input[data-find]");
if (find) {
  find.addEventListener("input", () => {
    const wanted = find.value.toLowerCase().split(/\s+/).filter(Boolean);
    for (const row of rows) {
      const fits = wanted.every((word) => row.dataset.find.toLowerCase().includes(word));
      if (fits) delete row.dataset.away; else row.dataset.away = "";
    }
    place();
    const left = rows.filter((row) => !("away" in row.dataset));
    if (left.length) here(left[0]);
    say(words.found, null, { n: left.length });
  });
  find.addEventListener("keydown", (event) => { if (event.key === "Escape") { event.preventDefault(); focus(current); } });
}

// details beside the list

let showing = null, stop = () => {}, later = 0;
const opened = (row) => {
  delete row.dataset.unseen;
  row.querySelector("input[value=certify]").disabled = false;
  const first = row.querySelector("[data-first]");
  if (first) first.remove();
  say(words.looked, row);
};
const squeeze = (on) => {
  aside.parentElement.classList.toggle("with-beside", on);
  for (const heading of grid.querySelectorAll(".group th")) heading.colSpan = on && !roomy.matches ? 3 : 4; // a column gives way
};
const drawn = (row) => {
  stop();
  beside.replaying(aside, words.would);
  mirror(row);
  stop = beside.watch(aside, row.dataset.at, () => { if ("unseen" in row.dataset) opened(row); });
};
const open = async (row, part) => {
  if (!wide.matches) { await settle(); location.assign(row.dataset.at + (part ? `#b-${part}` : "")); return; }
  showing = row;
  stop();
  aside.hidden = false;
  squeeze(true);
  aside.setAttribute("aria-busy", "true");
  if (!aside.childElementCount) aside.textContent = words.wait;
  let told = null;
  try {
    const answer = await fetch(`${row.dataset.at}?beside`, { credentials: "same-origin" });
    told = answer.ok ? await answer.text() : null;
  } catch { /* said below */ }
  if (showing !== row) return;
  aside.removeAttribute("aria-busy");
  if (told === null) { aside.textContent = words.lost; return; }
  aside.innerHTML = told;
  aside.scrollTop = 0;
  window.htmx.process(aside);
  document.dispatchEvent(new Event("htmx:after:swap")); // its times in the reader's own zone
  drawn(row);
};
const close = () => {
  showing = null;
  stop();
  aside.hidden = true;
  aside.replaceChildren();
  squeeze(false);
  focus(current);
};
const details = (row) => { if (showing === row) aside.focus(); else open(row); };
aside.addEventListener("click", (event) => { if (event.target.closest("[data-close]")) close(); });
aside.addEventListener("keydown", (event) => {
  if (event.key === "Escape") { event.preventDefault(); focus(current); }
  if (event.key === "Enter" && event.target.matches("[data-calls]") && showing) { event.preventDefault(); reduced(showing); }
});
// Ticks in the details: the row follows.
aside.addEventListener("change", (event) => {
  if (!showing || !event.target.matches("[data-calls]")) return;
  const box = ticks(showing).find((each) => each.value === event.target.value);
  if (box) box.checked = event.target.checked;
  if (chosen(showing) === "reduce") changed(showing);
});
// A form of the details swaps them: the row follows its draft, or leaves.
const follow = (row, { dataset, elements }) => {
  if (dataset.rev === revision(row).value) return;
  const kept = [...aside.querySelectorAll("[data-calls]:checked")].map((each) => each.value).join();
  revision(row).dataset.limits = dataset.limits;
  write(row, { verb: "reduce", reason: elements.reason.value, comment: elements.comment.value, until: part(row, "until").value, kept });
  revision(row).value = dataset.rev;
  states.set(row, read(row));
  send(row);
};
const leave = (row) => {
  const some = shown(), at = some.indexOf(row), next = some[at + 1] || some[at - 1];
  if (!next) { location.reload(); return; }
  rows.splice(rows.indexOf(row), 1);
  row.remove();
  here(next);
  close();
};
document.addEventListener("htmx:after:swap", () => {
  const told = aside.querySelector("[data-told]"), there = aside.querySelector("[data-narrow]");
  if (!told || told.dataset.told) return;
  told.dataset.told = "yes";
  say(told.textContent);
  if ("left" in told.dataset) { leave(showing); return; }
  if (there) follow(showing, there);
  drawn(showing);
});
grid.addEventListener("click", (event) => {
  if (!event.target.closest("[data-open]") || !wide.matches || event.ctrlKey || event.metaKey || event.shiftKey) return;
  event.preventDefault();
  const row = event.target.closest("tr[data-item]");
  focus(row);
  open(row);
});

// several at once

const many = form.querySelector("[data-many]"), clear = form.querySelector("[data-clear]");
const box = (row) => row.querySelector("input[name=pick]");
const picked = () => rows.filter((row) => box(row).checked);
const count = () => {
  for (const row of rows) row.setAttribute("aria-selected", String(box(row).checked));
  const n = picked().length;
  many.classList.toggle("some", n > 0);
  many.querySelector("[data-picked]").textContent = words.picked.replace("{n}", n);
  return n;
};
const pick = (row, on = !box(row).checked) => { box(row).checked = on; say(words.picked, row, { n: count() }); };
const extend = (row, by) => {
  const some = shown(), to = some[some.indexOf(row) + by];
  box(row).checked = true;
  if (to) { pick(to, true); focus(to); }
};
const answerMany = (verb) => form.requestSubmit(many.querySelector(`button[value=${verb}]`));
clear.hidden = false;
clear.addEventListener("click", () => { for (const row of rows) box(row).checked = false; count(); focus(current); });
for (const button of grid.querySelectorAll("[data-pick-all]")) {
  button.hidden = false;
  button.addEventListener("click", () => {
    const some = [...button.closest("tbody").querySelectorAll("tr[data-item]")].filter((row) => !("away" in row.dataset));
    const on = some.some((row) => !box(row).checked);
    for (const row of some) box(row).checked = on;
    say(words.picked, null, { n: count() });
  });
}

// the keys

const lacks = (row, what) => row.querySelector(".answer").classList.contains(what);
const decide = (row, verb) => {
  if (picked().length > 1 && verb !== "abstain") { answerMany(verb); return; }
  if (verb === "certify" && "unseen" in row.dataset) { say(words.look, row); if (wide.matches) open(row); return; }
  const state = { ...read(row), verb };
  if (verb === "revoke" && !state.reason && "unused" in row.dataset) state.reason = "unused";
  write(row, state);
  if (conflicts.has(row)) confirm(row);
  changed(row);
  advance(row);
};
// What the decision still lacks gets the focus, else the next item.
const advance = (row) => {
  const verb = chosen(row);
  if (!verb) { focus(row); return; }
  if (lacks(row, "wanting")) {
    say(words.why, row, { reasons: fitting(row).map((option, place) => `${place + 1} ${option.text}`).join(" · ") });
    field(row, "reason");
    return;
  }
  if (lacks(row, "wordless")) { say(words.words, row); field(row, "comment"); return; }
  const said = words[{ revoke: "removing", reduce: "reduced", abstain: "abstaining" }[verb] || "keeping"];
  if (step(row, 1)) say(said, row); else { say(`${said} ${words.last}`, row); focus(row); }
};
const because = (row, place) => {
  const option = fitting(row)[place];
  if (!option) return;
  part(row, "reason").value = option.value;
  changed(row);
  advance(row);
};

// Keeping some: the tools that are suggested stay ticked; Space changes one, Enter goes on.
const reduce = (row) => {
  if (picked().length > 1) { answerMany("reduce"); return; }
  const boxes = ticks(row);
  if (boxes.length < 2) return;
  if (chosen(row) !== "reduce") for (const each of boxes) each.checked = "suggested" in each.dataset;
  mirror(row);
  say(words.reducing, row);
  const there = showing === row ? aside.querySelector("[data-calls]") : null;
  if (!there) row.querySelector("details").open = true;
  (there || boxes[0]).focus();
};
// The details show the same ticks.
const mirror = (row) => {
  const there = showing === row ? aside.querySelector("[data-narrow]") : null;
  if (!there) return;
  const kept = new Set(ticks(row).filter((each) => each.checked).map((each) => each.value));
  for (const each of there.querySelectorAll("[data-calls]")) each.checked = kept.has(each.value);
  there.dispatchEvent(new Event("input"));
};
const reduced = (row) => {
  const boxes = ticks(row), kept = boxes.filter((each) => each.checked).length;
  if (!kept || kept === boxes.length) { say(words.none, row); return; }
  decide(row, "reduce");
};
const takeBack = () => {
  const last = undo.pop();
  if (!last) return;
  const [row, state] = last;
  write(row, state);
  changed(row, true);
  if ("away" in row.dataset) { delete row.dataset.away; place(); } // what is undone is shown, whatever was looked for
  say(words.undone, row);
  focus(row);
};
const field = (row, name) => { row.dataset.more = ""; part(row, name).focus(); };
const within = async (row, part) => {
  if (showing !== row) await open(row, part);
  const there = aside.querySelector(`[data-${part}]`);
  if (there) there.focus(); else aside.focus();
};

// Single keys can be switched off.
const help = document.getElementById("keys");
const choice = document.querySelector("label[data-keys]"), single = window.singleKeys;
if (choice) single.choice(choice);

const KEYS = {
  j: (row) => step(row, 1), ArrowDown: (row) => step(row, 1), J: (row) => extend(row, 1),
  k: (row) => step(row, -1), ArrowUp: (row) => step(row, -1), K: (row) => extend(row, -1),
  c: (row) => within(row, "say"), ",": (row) => field(row, "comment"), x: (row) => pick(row),
  g: (row) => within(row, "to"), o: (row) => { if (showing === row) close(); else open(row); }, Enter: details,
  "[": (row) => jump(row, -1), "]": (row) => jump(row, 1), "/": () => { if (find) find.focus(); },
  n: (row) => focus([...rows.slice(rows.indexOf(row) + 1), ...rows].find((each) => !chosen(each) && !("away" in each.dataset))),
  "?": () => help.showModal(),
};
const ANSWERS = [
  (row) => decide(row, "certify"), reduce, (row) => decide(row, "revoke"), (row) => field(row, "until"),
  (row) => decide(row, "abstain"), takeBack,
];
[...single.letters()].forEach((letter, place) => { KEYS[letter] = ANSWERS[place]; });

grid.addEventListener("keydown", (event) => {
  const row = event.target.closest("tr[data-item]");
  if (row && event.key === "Enter" && (event.ctrlKey || event.metaKey)) {
    event.preventDefault();
    form.requestSubmit(form.querySelector("button[name=submit]"));
  }
  if (!row || event.ctrlKey || event.metaKey || event.altKey) return;
  if (event.key === "Escape" && event.target !== row) { event.preventDefault(); focus(row); return; }
  if (event.key === "Enter" && event.target.matches("select, input[name^='comment'], input[name^='until']")) { event.preventDefault(); advance(row); return; }
  if (event.target.matches("select") && /^[1-5]$/.test(event.key)) { event.preventDefault(); because(row, Number(event.key) - 1); return; }
  if (event.key === "Enter" && event.target.matches("input[name^='keep:']")) { event.preventDefault(); reduced(row); return; }
  if (event.target !== row) return;
  const act = event.key.length > 1 || single.on() ? KEYS[event.key] : null; // the arrows and Enter always work
  if (act) { event.preventDefault(); if (!event.repeat || !ANSWERS.includes(act)) act(row); } // a key held down answers once
});
// From elsewhere.
const TYPED = "input:not([type=checkbox], [type=radio]), textarea, select, [contenteditable], dialog";
document.addEventListener("keydown", (event) => {
  const { target, key } = event;
  if (event.defaultPrevented || event.ctrlKey || event.metaKey || event.altKey || !single.on() || target.closest(TYPED)) return;
  if (!"jkn/?".includes(key)) return;
  event.preventDefault();
  const within = target.closest("tr[data-item], [data-beside]");
  if ("jk".includes(key) && !within) focus(current); else KEYS[key](current);
});
help.addEventListener("keydown", (event) => { if (event.key === "?") { event.preventDefault(); help.close(); } });
grid.addEventListener("focusin", (event) => {
  const row = event.target.closest("tr[data-item]");
  if (!row) return;
  beside.look(row.dataset.at);
  here(row);
  if (showing && showing !== row) { clearTimeout(later); later = setTimeout(() => { if (wide.matches && showing && showing !== current) open(current); }, 150); }
});
grid.addEventListener("input", (event) => {
  const row = event.target.closest("tr[data-item]");
  if (!row) return;
  if (event.target.name === "pick") { count(); return; }
  if (event.target.value === "reduce" && event.target.checked) {
    const boxes = ticks(row);
    if (showing !== row) row.querySelector("details").open = true;
    if (boxes.every((each) => each.checked)) { show(row); say(words.reducing, row); return; } // nothing to keep yet before one is unticked
  }
  if (event.target.matches("input[name^='keep:']")) {
    mirror(row);
    if (chosen(row) !== "reduce") return;
  }
  changed(row);
});
form.addEventListener("submit", async (event) => {
  if (words.settled) return;
  event.preventDefault();
  const button = event.submitter;
  await settle();
  if (waiting.size) { lost(); if (isOut) banner.querySelector("a").focus(); return; }
  if (conflicts.size) { focus([...conflicts][0]); return; }
  words.settled = "yes";
  setTimeout(() => form.requestSubmit(button)); // a form submits nothing during its own event
});
window.addEventListener("pageshow", () => { delete words.settled; });

for (const row of rows) { show(row); states.set(row, read(row)); }
const unsent = stored();
for (const row of rows) {
  const { rev, ...state } = unsent[row.dataset.item] || {};
  if (rev === undefined) continue;
  write(row, state);
  if (rev === revision(row).value) changed(row); else refused(row, 412, { rev: revision(row).value, saved_at: revision(row).dataset.savedAt });
}
count();
const named = rows.find((row) => `#${row.id}` === location.hash), practice = document.querySelector("[data-practice]");
const begin = () => { if (current && matchMedia("(any-pointer: fine)").matches) current.focus({ preventScroll: true }); };
if (named) focus(named); else if (!practice) begin();
document.addEventListener("practised", (event) => { begin(); if (event.detail) say(event.detail); });
})();
