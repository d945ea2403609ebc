// A field that takes a name becomes a combobox (WAI-ARIA): it offers what is found during typing.
"use strict";

(() => {
let number = 0;

const combobox = (box) => {
  if (box.dataset.ready) return;
  box.dataset.ready = "yes";
  const input = box.querySelector("input:not([type=hidden])");
  const key = box.querySelector("[data-key]");
  const list = document.createElement("ul");
  list.id = `options-${++number}`;
  list.setAttribute("role", "listbox");
  list.setAttribute("aria-label", (input.labels[0] || input).textContent.trim() || input.name);
  list.hidden = true;
  box.append(list);
  for (const [name, value] of Object.entries({ role: "combobox", "aria-autocomplete": "list", "aria-expanded": "false", "aria-controls": list.id })) {
    input.setAttribute(name, value);
  }
  const many = "many" in box.dataset;
  let active = -1, asked = 0, timer = 0;

  const show = (open) => {
    list.hidden = !open;
    input.setAttribute("aria-expanded", String(open));
    if (!open) { active = -1; input.removeAttribute("aria-activedescendant"); }
  };
  const move = (to) => {
    const options = [...list.children];
    if (!options.length) return;
    active = (to + options.length) % options.length;
    for (const [at, option] of options.entries()) option.setAttribute("aria-selected", String(at === active));
    input.setAttribute("aria-activedescendant", options[active].id);
    options[active].scrollIntoView({ block: "nearest" });
  };
  const choose = (option) => {
    const applies = "applies" in box.dataset;
    const text = applies ? option.dataset.value : option.dataset.label;
    input.value = many ? [...input.value.split(",").slice(0, -1).map((each) => each.trim()), text, ""].join(", ") : text;
    if (key) key.value = option.dataset.value;
    show(false);
    input.dispatchEvent(new Event("change", { bubbles: true }));
    if (applies) input.form.requestSubmit();
  };
  const draw = (found) => {
    list.replaceChildren(...found.map(({ value, label, detail }, at) => {
      const option = document.createElement("li");
      option.id = `${list.id}-${at}`;
      option.setAttribute("role", "option");
      option.setAttribute("aria-selected", "false");
      Object.assign(option.dataset, { value, label: many && (detail || label.includes(",")) ? value : label });
      const name = document.createElement("bdi");
      name.textContent = label;
      option.append(name);
      if (detail) {
        const more = document.createElement("span");
        more.textContent = detail;
        option.append(more);
      }
      option.addEventListener("pointerdown", (event) => { event.preventDefault(); choose(option); });
      return option;
    }));
    show(found.some(({ value, label }) => "applies" in box.dataset || ![value, label].includes(input.value)) && document.activeElement === input);
  };
  const ask = async () => {
    const mine = ++asked;
    const address = `${box.dataset.combobox}&q=${encodeURIComponent(many ? input.value.split(",").pop().trim() : input.value)}`;
    const answer = await fetch(address, { credentials: "same-origin", headers: { Accept: "application/json" } }).catch(() => null);
    if (mine === asked && answer && answer.ok) draw((await answer.json()).options);
  };

  input.addEventListener("input", () => {
    if (key) key.value = "";
    clearTimeout(timer);
    timer = setTimeout(ask, 150);
  });
  input.addEventListener("click", () => { if (list.hidden && (many || !input.value)) ask(); });
  input.addEventListener("blur", () => { asked += 1; clearTimeout(timer); show(false); });
  input.addEventListener("keydown", (event) => {
    const isOpen = !list.hidden;
    if (event.key === "ArrowDown" || event.key === "ArrowUp") {
      event.preventDefault();
      if (isOpen) move(active + (event.key === "ArrowDown" ? 1 : active < 0 ? 0 : -1));
      else ask();
    } else if (event.key === "Enter" && isOpen && active >= 0) {
      event.preventDefault();
      choose(list.children[active]);
    } else if (event.key === "Escape" && isOpen) {
      event.preventDefault();
      event.stopPropagation();
      show(false);
    }
  });
};

const prepare = () => document.querySelectorAll("[data-combobox]").forEach(combobox);
document.addEventListener("DOMContentLoaded", prepare);
document.addEventListener("htmx:after:swap", prepare);
})();
