"""Three ways of using a page: the keyboard alone, a finger on a phone, and a browser without script."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Final

from playwright.sync_api import Locator, Page

FINGER: Final = 44
"""How high what one presses must be on a phone, in CSS pixels."""
_SHOWS: Final = """(() => {
  const focused = document.activeElement, box = focused.getBoundingClientRect(), style = getComputedStyle(focused);
  const top = document.elementFromPoint(box.x + box.width / 2, box.y + Math.min(box.height / 2, 12));
  return style.outlineStyle !== "none" && (focused.contains(top) || (top && top.contains(focused)));
})()"""


@dataclass
class Mouse:
    """Clicks; what a browser without script needs. Each act is counted: a press, a field that is filled in, a key."""

    page: Page
    acts: int = 0

    @contextmanager
    def fewer_than(self, most: int, what: str) -> Iterator[None]:
        """See that what is done here takes fewer acts than so many, and say how many it took."""
        before = self.acts
        yield
        taken = self.acts - before
        print(f"\n{what}: {taken} interactions")  # noqa: T201 - the figure is for the reader of the run
        assert taken < most, f"{what} takes {taken} interactions"

    def press(self, what: Locator) -> None:
        """Press a button or follow a link."""
        self.acts += 1
        what.click()

    def write(self, field: Locator, text: str) -> None:
        """Fill in a field."""
        self.acts += 1
        field.fill(text)

    def pick(self, field: Locator, label: str) -> None:
        """Choose from a list."""
        self.acts += 1
        field.select_option(label=label)

    def tick(self, box: Locator) -> None:
        """Tick a box, or take the tick away."""
        self.acts += 1
        box.click()

    def keep(self, row: Locator) -> None:
        """Answer an item of a review with Keep."""
        self.acts += 1
        row.locator(".choice label").first.click()


@dataclass
class Finger(Mouse):
    """Taps, on what is large enough for a finger."""

    def press(self, what: Locator) -> None:
        """Tap something that a finger hits."""
        self.acts += 1
        _large(what)
        what.tap()

    def tick(self, box: Locator) -> None:
        """Tap a box; the label beside it counts as well."""
        self.acts += 1
        shown = box.bounding_box()
        assert shown is not None
        assert min(shown["width"], shown["height"]) >= 24
        box.tap()

    def pick(self, field: Locator, label: str) -> None:
        """Choose from a list that a finger opens."""
        _large(field)
        super().pick(field, label)

    def keep(self, row: Locator) -> None:
        """Tap Keep."""
        self.acts += 1
        _large(row.locator(".choice span").first)
        row.locator(".choice label").first.tap()


def _large(what: Locator) -> None:
    what.scroll_into_view_if_needed()
    box = what.bounding_box()
    assert box is not None
    beside_text = what.evaluate("(e) => e.matches('a:not([class]), a.main')")
    assert box["height"] >= (24 if beside_text else FINGER), f"{what} is {box['height']} px high"


@dataclass
class Keys(Mouse):
    """Tabs to everything, sees that the focus shows, and presses keys."""

    def _reach(self, what: Locator) -> None:
        what.wait_for()
        wanted = what.element_handle()
        for _ in range(200):
            if self.page.evaluate("(wanted) => document.activeElement === wanted", wanted):
                assert self.page.evaluate(_SHOWS), f"the focus on {what} cannot be seen"
                return
            self.page.keyboard.press("Tab")
        message = f"Tab never comes to {what}"
        raise AssertionError(message)

    def key(self, key: str) -> None:
        """Press a key that has a meaning wherever the focus is."""
        self.acts += 1
        self.page.keyboard.press(key)

    def press(self, what: Locator) -> None:
        """Come to it by Tab, and press Enter."""
        self.acts += 1
        self._reach(what)
        self.page.keyboard.press("Enter")

    def write(self, field: Locator, text: str) -> None:
        """Come to a field by Tab, and type over what is in it."""
        self.acts += 1
        self._reach(field)
        self.page.keyboard.press("Control+a")
        self.page.keyboard.type(text)

    def pick(self, field: Locator, label: str) -> None:
        """Come to a list by Tab, and type the beginning of what is meant."""
        self.acts += 1
        self._reach(field)
        self.page.keyboard.type(label)

    def tick(self, box: Locator) -> None:
        """Come to a box by Tab, and press Space."""
        self.acts += 1
        self._reach(box)
        self.page.keyboard.press("Space")

    def keep(self, row: Locator) -> None:
        """Come to the item by Tab or j, and press a."""
        row.wait_for()
        if self.page.evaluate("!document.activeElement.matches('tr[data-item]')"):
            self._reach(row)
        self.key("a")
