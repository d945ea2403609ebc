"""Contrast of text. Axe is asked about each look of text three times, and not about every word of every page."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import Any, Final

from playwright.sync_api import Page

OFTEN: Final = 3
"""So often axe looks at the same colours: what it cannot judge at one place, it may at another."""

_JUDGE: Final = r"""async ([known, often, options]) => {
  const styles = new Map(), found = {}, chosen = [];
  const style = (e) => styles.get(e) ?? styles.set(e, getComputedStyle(e)).get(e);
  const covers = (s) => s.backgroundImage === "none" && /^rgb\(/.test(s.backgroundColor);
  const line = function* (e) { for (; e; e = e.parentElement) yield e; };
  const layers = (e) => {
    const box = e.getBoundingClientRect();
    const here = document.elementsFromPoint(box.x + box.width / 2, box.y + box.height / 2);
    return here.includes(e) ? here.slice(here.indexOf(e)) : [...line(e)];
  };
  const behind = (e) => {
    const said = [];
    for (const s of layers(e).map(style)) {
      said.push(s.backgroundColor, s.backgroundImage);
      if (covers(s)) break;
    }
    return said;
  };
  const text = (e) => [...e.childNodes].filter((n) => n.nodeType === 3).map((n) => n.data.trim()).join("");
  const idle = (e) => !!(e.closest(":disabled, [aria-disabled=true], [aria-hidden=true], [inert]")
    || e.closest("label")?.control?.disabled);
  for (const e of document.querySelectorAll("body *")) {
    const words = text(e);
    if (!words && !e.matches("input, select, textarea")) continue;
    if (!e.checkVisibility({ visibilityProperty: true })) continue;
    const s = style(e), faded = [...line(e)].map((each) => style(each).opacity).filter((each) => each !== "1");
    const look = [s.color, s.fontSize, s.fontWeight, s.textShadow, ...faded, idle(e), /\w\w/.test(words), ...behind(e)];
    const name = look.join(" ");
    if ((known[name] ?? 0) + (found[name] ?? 0) >= often) continue;
    found[name] = (found[name] ?? 0) + 1;
    chosen.push(e);
  }
  return [found, chosen.length ? (await axe.run({ include: chosen }, options)).violations : []];
}"""


@dataclass
class Looks:
    """The looks of text that axe has judged: colour, size and weight, and every colour behind it at its middle."""

    judged: Counter[str] = field(default_factory=Counter)

    def violations(self, page: Page, options: dict[str, Any]) -> list[dict[str, Any]]:
        """Ask axe, which is in the page, about text that looks as none before; returns what it says of it."""
        found, said = page.evaluate(_JUDGE, [dict(self.judged), OFTEN, options])
        self.judged.update(found)
        violations: list[dict[str, Any]] = said
        return violations
