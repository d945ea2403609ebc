"""Set a template of typst as a PDF. The same data give the same bytes.

The PDF is tagged (PDF/UA-1, ISO 14289-1), so that a screen reader can read it in order. A template shows the values of
its data and never runs them.
"""

from __future__ import annotations

import json
import re
import tempfile
from collections.abc import Mapping
from datetime import datetime
from functools import cache
from pathlib import Path
from typing import Final, cast

import typst

_SHOWN: Final = re.compile("[ -~\u00a1-\u02af\u0370-\u0373\u0386-\u0482\u048a-\u04ff\u1e00-\u1eff\u2010-\u2027\u20ac]")
"""The characters that the fonts of typst have and that read from left to right: Latin, Greek, Cyrillic, punctuation."""


def pdf(template: bytes, data: object, dated: datetime, *, fonts: Path | None = None) -> bytes:
    """Render data with a template, which can read only an empty folder, the fonts of typst and those of a folder."""
    with tempfile.TemporaryDirectory(prefix="typeset-") as empty:
        compiler = typst.Compiler(
            template,
            root=empty,
            font_paths=_fonts(fonts),
            sys_inputs={"data": json.dumps(data)},
            package_path=empty,
            package_cache_path=empty,
        )
        return cast("bytes", compiler.compile(pdf_standards="ua-1", timestamp=dated.replace(microsecond=0)))


@cache
def _fonts(folder: Path | None) -> typst.Fonts:
    """Return the fonts of typst and of a folder: the fonts of a machine would give other bytes."""
    return typst.Fonts(include_system_fonts=False, font_paths=[str(folder)] if folder else [])


def printable(text: str) -> str:
    """Replace each character that the fonts lack by its code point, so that nothing vanishes."""
    return "".join(
        character if _SHOWN.match(character) and character.isprintable() else f"\\u{{{ord(character):x}}}"
        for character in text
    )


def printable_data(data: object) -> object:
    """Make every text in nested data printable."""
    match data:
        case str():
            return printable(data)
        case Mapping():
            return {name: printable_data(value) for name, value in data.items()}
        case list() | tuple():
            return [printable_data(value) for value in data]
        case _:
            return data
