"""Whatever a person reads is marked for translation."""

from __future__ import annotations

import re
from pathlib import Path

TEMPLATES = Path(__file__).parents[2] / "templates"
NAMES = {"Mandate", "Ctrl", "Esc", "SHA"}
_MARKED = re.compile(r"{%-?\s*blocktrans.*?endblocktrans\w*\s*%}|{%.*?%}|{{.*?}}|{#.*?#}", re.DOTALL)
_SILENT = re.compile(r"<(script|style|pre|code|svg)\b.*?</\1>|<!--.*?-->", re.DOTALL)
_SPOKEN = re.compile(r'\b(?:placeholder|aria-label|title|alt)="([^"]*)"')


def unmarked(template: str) -> list[str]:
    """Return the words of a template that a person would read or hear and no translator would."""
    told = _SILENT.sub(" ", _MARKED.sub("", template))
    texts = [*_SPOKEN.findall(told), re.sub(r"<[^>]*>", " ", told)]
    words = {word for text in texts for word in re.findall(r"[A-Za-z]{2,}", text)}
    return sorted(words - NAMES)


def test_every_visible_string_of_a_template_is_marked() -> None:
    found = {str(path.relative_to(TEMPLATES)): unmarked(path.read_text()) for path in TEMPLATES.rglob("*.html")}
    assert {name: words for name, words in found.items() if words} == {}


def test_an_unmarked_string_is_found_in_text_and_in_what_is_read_aloud() -> None:
    assert unmarked('<p>Hello {{ name }}</p><input placeholder="Who?">{% translate "Fine" %}') == ["Hello", "Who"]
