"""Paths: those of files (`under`) and those of addresses (`path_prefix`), compared segment by segment.

What two programs could read as different paths is no path here: `..`, backslashes, encoded separators or dots, hidden
characters, and letters that compatibility (NFKC) turns into a dot or a separator.
"""

from __future__ import annotations

import re
import unicodedata
from typing import Final
from urllib.parse import unquote_to_bytes

from entitlements.constraints import hosts
from entitlements.constraints.values import LONGEST_TEXT, Malformed, text, texts

type Path = tuple[bool, tuple[str, ...]]
type Segments = tuple[str, ...]

_TRICKS: Final = re.compile(r"[\x00-\x1F\x7F\\]|%(?:2e|2f|5c|00)", re.IGNORECASE)
_ADDRESS_TRICKS: Final = re.compile(
    r"[\x00-\x1F\x7F\\?#;]|%(?![0-9A-Fa-f]{2})|%(?:0[0-9a-f]|1[0-9a-f]|2[3ef5]|3[bf]|5c|7f)", re.IGNORECASE
)
"""Beyond those of files: parameters (`;`), a percent sign that is encoded itself, other encoded control characters."""


def path(value: object) -> Path | None:
    """Read a POSIX path into (absolute, parts). None for `..`, backslashes, encoded or hidden tricks.

    `.` and doubled slashes vanish, as they do for a program that opens the file. Symbolic
    links are the upstream's own business, and a stated limit.
    """
    content = text(value)
    if not content or len(content) > LONGEST_TEXT or _TRICKS.search(content):
        return None
    parts = tuple(part for part in content.split("/") if part not in ("", "."))
    if any(_is_dots(part) for part in parts) or _is_otherwise_read(content):
        return None
    absolute = content.startswith("/")
    if not absolute and parts and (parts[0].startswith("~") or ":" in parts[0]):
        return None
    return absolute, parts


def read_paths(written: object) -> tuple[Path, ...]:
    """Read the folders of an `under`. Raises Malformed."""
    bases = tuple(path(base) for base in texts("under", written))
    if any(base is None for base in bases):
        raise Malformed("under wants paths without '..', backslashes or encoded characters")
    return tuple(base for base in bases if base is not None)


def under(bases: tuple[Path, ...], value: object, _now: float | None) -> bool:
    """Whether a path is one of the folders or in one."""
    parsed = path(value)
    return parsed is not None and any(below(parsed, base) for base in bases)


def below(inner: Path, outer: Path) -> bool:
    """Whether one path is another or in it."""
    return inner[0] == outer[0] and inner[1][: len(outer[1])] == outer[1]


def say_path(base: Path) -> str:
    """Write a folder as a person reads it."""
    return ("/" if base[0] else "") + "/".join(base[1]) or "the working folder"


def segments(value: object) -> Segments | None:
    """Read the path of an http(s) URL, or a path that starts with a slash, into segments.

    None where it is not in its shortest form (`.`, `..`, doubled slashes) or could be read in two ways. The query and
    the fragment of a URL are no part of it; a path alone has neither. A slash at its end says nothing.
    """
    content = text(value)
    if content is None or not 0 < len(content) <= LONGEST_TEXT:
        return None
    if not content.startswith("/"):
        content = hosts.url_path(content)
    if content is None or _ADDRESS_TRICKS.search(content):
        return None
    parts = content.removesuffix("/").split("/")[1:]
    if any(_is_dots(part) for part in parts) or _is_otherwise_read(content):
        return None
    return tuple(parts) if "%" not in content or _is_plain(content) else None


def read_prefixes(written: object) -> tuple[Segments, ...]:
    """Read the paths of a `path_prefix`. Raises Malformed."""
    entries = texts("path_prefix", written)
    found = [segments(entry) if entry.startswith("/") else None for entry in entries]
    if None in found:
        raise Malformed("path_prefix wants paths such as /v1/reports, without '.', '..', '//' or encoded separators")
    return tuple(entry for entry in found if entry is not None)


def has_prefix(prefixes: tuple[Segments, ...], value: object, _now: float | None) -> bool:
    """Whether a path or the path of a URL begins with the segments of one of the prefixes."""
    parsed = segments(value)
    return parsed is not None and any(extends(parsed, prefix) for prefix in prefixes)


def extends(inner: Segments, outer: Segments) -> bool:
    """Whether segments begin with others."""
    return inner[: len(outer)] == outer


def say_segments(prefix: Segments) -> str:
    """Write a prefix as a person reads it."""
    return "/" + "/".join(prefix)


def _is_plain(content: str) -> bool:
    """Whether encoded characters are UTF-8, and hide no separator in a longer form."""
    try:
        return not _is_otherwise_read(unquote_to_bytes(content).decode())
    except UnicodeDecodeError:
        return False


def _is_dots(part: str) -> bool:
    """Whether a segment is empty, or becomes so where dots and spaces at an end are dropped (Windows)."""
    return part.strip(". ") == ""


def _is_otherwise_read(content: str) -> bool:
    """Whether a program that folds letters for compatibility finds other segments."""
    if content.isascii():
        return False
    folded = unicodedata.normalize("NFKC", content)
    if _TRICKS.search(folded) or folded.count("/") != content.count("/"):
        return True
    pairs = zip(content.split("/"), folded.split("/"), strict=True)
    return any(_is_dots(after) and not _is_dots(before) for before, after in pairs)
