"""The shape of templates and of hand-written style and script: small files, short lines, addresses by name."""

from __future__ import annotations

import re

from tests.architecture import tree

TEMPLATES = sorted((tree.ROOT / "templates").rglob("*.html"))
MOST_LINES, LONGEST_LINE = 120, 160
MOST_BYTES = 110_000
"""What style and script weigh together at most; fonts and icons are not counted."""
BY_HAND = re.compile(r"""(?:href|action|hx-get|hx-post|formaction)=["']/(?!records/)[^>]*""")
"""An address that is written out; the keys of records are served by another process and have no page."""


def test_templates_are_small_and_their_lines_short() -> None:
    lines = {str(path.relative_to(tree.ROOT)): path.read_text(encoding="utf-8").splitlines() for path in TEMPLATES}
    assert {name: len(found) for name, found in lines.items() if len(found) > MOST_LINES} == {}
    long = [
        f"{name}:{number}"
        for name, found in lines.items()
        for number, line in enumerate(found, start=1)
        if len(line) > LONGEST_LINE
    ]
    assert long == []


def test_addresses_in_templates_are_named() -> None:
    found = {str(path.relative_to(tree.ROOT)): BY_HAND.findall(path.read_text(encoding="utf-8")) for path in TEMPLATES}
    assert {name: addresses for name, addresses in found.items() if addresses} == {}


def test_every_console_page_has_the_head_and_the_tabs_of_the_kit() -> None:
    by_hand = re.compile(r"""<h1|class="(?:crumbs|lead|tabs)\"""")
    plain = {"errors/base.html", "sign_in/welcome.html"}  # these stand outside the console's frame
    pages = tree.ROOT / "templates" / "console"
    others = {str(path.relative_to(pages)): path for path in pages.rglob("*.html") if path.parent != pages / "kit"}
    found = {name for name, path in others.items() if by_hand.search(path.read_text(encoding="utf-8"))}
    assert found == plain


def test_style_and_script_stay_light() -> None:
    files = [path for kind in ("*.css", "*.js") for path in (tree.ROOT / "static").rglob(kind)]
    assert sum(path.stat().st_size for path in files) < MOST_BYTES
