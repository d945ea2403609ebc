// The workbench: keys while an item has the focus, drafts kept as they change, nothing lost when the network is.
"use strict";

(() => {
  const form = document.querySelector("form[data-workbench]");
  if (!form) return;
  const grid = form.querySelector("[role=grid]");
  const status = form.querySelector("[data-status]");
  const rows = [...grid.querySelectorAll("tr[data-item]")];
  const states = new Map();
  const undo = [];
  const waiting = new Set();
  let current = rows[0];
  let offline = false;
  let retry = 0;
  form.classList.add("scripted");

  const say = (sentence, row) => { status.textContent = sentence.replace("{name}", row ? row.dataset.name : ""); };
  const part = (row, name) => row.querySelector(`[name="${name}:${row.dataset.item}"]`);
  const chosen = (row) => { const box = row.querySelector("input[type=radio]:checked"); return box ? box.value : ""; };
  const ticks = (row) => [...row.querySelectorAll("input[type=checkbox]")];
  const read = (row) => ({
    verb: chosen(row), reason: part(row, "reason").value, comment: part(row, "comment").value,
    until: part(row, "until").value, kept: ticks(row).filter((box) => box.checked).map((box) => box.value).join(),
  });
  const same = (one, other) => Object.keys(one).every((name) => one[name] === other[name]);

  const show = (row) => {
    const verb = chosen(row);
    if (verb) row.dataset.verb = verb; else delete row.dataset.verb;
    const select = part(row, "reason");
    for (const group of select.querySelectorAll("optgroup")) {
      group.disabled = Boolean(verb) && !group.dataset.for.split(" ").includes(verb);
      group.hidden = group.disabled;
    }
    const picked = select.selectedOptions[0];
    if (picked && picked.parentElement.disabled) select.value = "";
    part(row, "until").disabled = verb === "revoke" || verb === "abstain";
    const needed = ["reduce", "revoke", "abstain"].includes(verb) || (verb === "certify" && "weighty" in row.dataset);
    row.querySelector(".answer").classList.toggle("wanting", needed && !select.value);
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

  // ------------------------------------------------------------------------------------------- keeping drafts

  const timers = new Map();
  const busy = new Set();

  const send = async (row) => {
    if (busy.has(row)) { waiting.add(row); return; }
    waiting.delete(row);
    const id = row.dataset.item, state = read(row), said = row.querySelector("[data-said]");
    const body = new URLSearchParams({
      csrfmiddlewaretoken: form.querySelector("[name=csrfmiddlewaretoken]").value,
      [`verb:${id}`]: state.verb, [`reason:${id}`]: state.reason, [`comment:${id}`]: state.comment,
      [`until:${id}`]: state.until, [`rev:${id}`]: row.querySelector("[data-rev]").value,
    });
    if (state.verb === "reduce") for (const line of state.kept.split(",")) body.append(`keep:${id}`, line);
    busy.add(row);
    let answer = null;
    try {
      answer = await fetch(row.dataset.draft, { method: "POST", body, credentials: "same-origin" });
    } catch {
      waiting.add(row);
    }
    busy.delete(row);
    if (!answer) { lost(); return; }
    if (offline) { offline = false; say(form.dataset.online); }
    const told = await answer.json().catch(() => ({}));
    if (answer.ok) {
      row.querySelector("[data-rev]").value = told.rev;
      said.textContent = state.verb ? form.dataset.kept : "";
      form.dataset.drafted = told.drafted;
      if (waiting.has(row)) send(row);
      return;
    }
    said.textContent = answer.status === 412 ? form.dataset.stale.replace("{name}", row.dataset.name) : told.message || String(answer.status);
    say(said.textContent, row);
  };

  const lost = () => {
    offline = true;
    say(form.dataset.offline);
    clearTimeout(retry);
    retry = setTimeout(() => { for (const row of [...waiting]) send(row); }, 3000);
  };
  window.addEventListener("online", () => { for (const row of [...waiting]) send(row); });
  window.addEventListener("beforeunload", (event) => { if (waiting.size || timers.size || busy.size) event.preventDefault(); });

  const changed = (row, quiet) => {
    show(row);
    const before = states.get(row), now = read(row);
    if (same(before, now)) return;
    const last = undo[undo.length - 1];
    if (!quiet && !(last && last[0] === row)) undo.push([row, before]); // an answer and its reason are undone together
    states.set(row, now);
    clearTimeout(timers.get(row));
    timers.set(row, setTimeout(() => { timers.delete(row); send(row); }, 300));
  };

  const settle = async () => {
    for (const [row, timer] of timers) { clearTimeout(timer); timers.delete(row); waiting.add(row); }
    for (const row of [...waiting]) await send(row);
    for (let tries = 0; busy.size && tries < 100; tries += 1) await new Promise((done) => { setTimeout(done, 50); });
  };

  // ------------------------------------------------------------------------------------------------- the keys

  const focus = (row) => {
    if (!row) return;
    if (current) current.tabIndex = -1;
    current = row;
    row.tabIndex = 0;
    row.focus();
    row.scrollIntoView({ block: "nearest" });
  };
  const step = (row, by) => focus(rows[rows.indexOf(row) + by]);

  const decide = (row, verb) => {
    const state = { ...read(row), verb };
    if (verb === "revoke" && !state.reason && "unused" in row.dataset) state.reason = "unused";
    write(row, state);
    changed(row);
    if (row.querySelector(".answer").classList.contains("wanting")) {
      say(form.dataset.why, row);
      part(row, "reason").focus();
      return;
    }
    say(form.dataset[{ revoke: "removing", reduce: "reduced", abstain: "abstaining" }[verb] || "keeping"], row);
    step(row, 1);
  };

  // Keeping some: the tools that are suggested stay ticked; Space changes one, Enter goes on.
  const reduce = (row) => {
    const boxes = ticks(row);
    if (boxes.length < 2) return;
    row.querySelector("details").open = true;
    if (chosen(row) !== "reduce") for (const box of boxes) box.checked = "suggested" in box.dataset;
    say(form.dataset.reducing, row);
    boxes[0].focus();
  };
  const reduced = (row) => {
    const boxes = ticks(row), kept = boxes.filter((box) => box.checked).length;
    if (!kept || kept === boxes.length) { say(form.dataset.none, row); return; }
    decide(row, "reduce");
  };

  const takeBack = () => {
    const last = undo.pop();
    if (!last) return;
    const [row, state] = last;
    write(row, state);
    changed(row, true);
    say(form.dataset.undone, row);
    focus(row);
  };

  // A person who dictates, or whose hand slips, may switch the single keys off; the browser remembers.
  const choice = document.querySelector("[data-keys]");
  const keysOn = () => !choice || choice.querySelector("input").checked;
  if (choice) {
    const box = choice.querySelector("input");
    choice.hidden = false;
    box.checked = localStorage.getItem("review-keys") !== "off";
    box.addEventListener("change", () => localStorage.setItem("review-keys", box.checked ? "on" : "off"));
  }

  const KEYS = {
    j: (row) => step(row, 1), ArrowDown: (row) => step(row, 1),
    k: (row) => step(row, -1), ArrowUp: (row) => step(row, -1),
    a: (row) => decide(row, "certify"), r: (row) => decide(row, "revoke"), u: (row) => decide(row, "abstain"),
    e: reduce, t: (row) => part(row, "until").focus(), z: takeBack,
    n: (row) => focus([...rows.slice(rows.indexOf(row) + 1), ...rows].find((each) => !chosen(each))),
    "?": () => { const help = document.querySelector("details.keys"); help.open = !help.open; },
    o: (row) => { const more = row.querySelector("details"); more.open = !more.open; },
  };

  grid.addEventListener("keydown", (event) => {
    const row = event.target.closest("tr[data-item]");
    if (!row || event.ctrlKey || event.metaKey || event.altKey) return;
    if (event.key === "Escape" && event.target !== row) { event.preventDefault(); focus(row); return; }
    if (event.key === "Enter" && event.target.matches("input[name^='comment'], input[name^='until']")) { event.preventDefault(); focus(row); return; }
    if (event.key === "Enter" && event.target.matches("input[type=checkbox]")) { event.preventDefault(); reduced(row); return; }
    if (event.target !== row) return;
    const act = event.key.length > 1 || keysOn() ? KEYS[event.key] : null; // the arrows always move
    if (act) { event.preventDefault(); act(row); }
  });
  grid.addEventListener("focusin", (event) => {
    const row = event.target.closest("tr[data-item]");
    if (!row || row === current) return;
    if (current) current.tabIndex = -1;
    current = row;
    row.tabIndex = 0;
  });
  grid.addEventListener("input", (event) => {
    const row = event.target.closest("tr[data-item]");
    if (!row) return;
    if (event.target.value === "reduce" && event.target.checked) {
      const boxes = ticks(row);
      row.querySelector("details").open = true;
      if (boxes.every((box) => box.checked)) { say(form.dataset.reducing, row); return; } // nothing to keep yet before one is unticked
    }
    if (event.target.matches("input[type=checkbox]") && chosen(row) !== "reduce") return;
    changed(row);
  });
  form.addEventListener("submit", async (event) => {
    if (form.dataset.settled) return;
    event.preventDefault();
    const button = event.submitter;
    await settle();
    if (waiting.size) { lost(); return; }
    form.dataset.settled = "yes";
    setTimeout(() => form.requestSubmit(button)); // while this very event is still on its way, a form submits nothing
  });

  for (const row of rows) { show(row); states.set(row, read(row)); }
})();
