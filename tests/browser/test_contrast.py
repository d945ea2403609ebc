"""What the other tests leave out when they ask about contrast: looks of text that were judged, and nothing else."""

from __future__ import annotations

from playwright.sync_api import BrowserContext

from tests.browser.conftest import complaints
from tests.browser.contrast import OFTEN, Looks

GREY = '<p style="color: #999">Said in grey.</p>'
PALE = '<p style="color: #999; background: #222">Said in grey.</p>'
OVER = '<div style="position: relative; color: #999">{}<p style="position: absolute; top: 0">Said in grey.</p></div>'
WHITE = '<div style="height: 90px; background: #fff"></div>'
BLACK = '<div style="height: 90px; background: #000"></div>'


def _said(context: BrowserContext, looks: Looks, *bodies: str) -> list[int]:
    """Return how many complaints there are about each page."""
    page = context.new_page()
    said = []
    for body in bodies:
        page.set_content(f'<!doctype html><html lang="en"><title>T</title><body style="background: #fff">{body}')
        said.append(len(complaints(page, ["color-contrast"], kind="rule", looks=looks)))
    return said


def test_text_is_judged_again_where_anything_of_its_look_differs(context: BrowserContext) -> None:
    idle, bold = f"<div inert>{GREY}</div>", GREY.replace("#999", "#999; font-weight: 700")
    faded = PALE.replace("background", "opacity: 0.3; background")
    behind = OVER.format(BLACK), OVER.format(WHITE)
    for seen, other in ((PALE, GREY), behind, (idle, GREY), (PALE, faded)):
        assert _said(context, Looks(), *[seen] * OFTEN, other) == [0] * OFTEN + [1], other
    assert _said(context, Looks(), *[GREY] * OFTEN, bold) == [1] * OFTEN + [1]


def test_what_was_judged_so_often_is_not_judged_again(context: BrowserContext) -> None:
    assert _said(context, Looks(), *[GREY] * (OFTEN + 1)) == [1] * OFTEN + [0]
