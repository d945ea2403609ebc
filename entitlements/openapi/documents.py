"""The text of a document, read into JSON values: JSON or YAML, so strictly that each parser reads the same. Pure."""

from __future__ import annotations

from typing import Any, Final

from entitlements import strict

from . import yaml_text
from .errors import DocumentMalformed

LARGEST: Final = 16 * 1024 * 1024
"""Bytes of a document in JSON; that of GitHub's API has 13 million."""
LARGEST_YAML: Final = 4 * 1024 * 1024
"""Bytes of a document in YAML, which takes some twenty times as long to read."""
DEEPEST: Final = 100
_MOST_COMMAS: Final = 2_000_000
_MARK: Final = b"\xef\xbb\xbf"


def read(text: bytes) -> dict[str, Any]:
    """Read the text of a document: an object. Raises DocumentMalformed."""
    text = text.removeprefix(_MARK)
    if len(text) > LARGEST or text.count(b",") > _MOST_COMMAS:
        raise DocumentMalformed("The document is too large.", most=LARGEST)
    value = _json(text) if text.lstrip()[:1] == b"{" else _yaml(text)
    if not isinstance(value, dict):
        raise DocumentMalformed("The document is not an object.")
    if not strict.is_storable(value):
        raise DocumentMalformed("A text of the document holds NUL or half a surrogate pair.")
    return value


def _json(text: bytes) -> Any:  # noqa: ANN401 - any JSON value
    try:
        return strict.loads(text, largest=LARGEST, deepest=DEEPEST)
    except strict.NotStrictJson as why:
        raise DocumentMalformed(f"The document is not proper JSON. {why.message}") from why


def _yaml(text: bytes) -> Any:  # noqa: ANN401 - as above
    if len(text) > LARGEST_YAML:
        raise DocumentMalformed("The document is too large for YAML. Convert it to JSON.", most=LARGEST_YAML)
    try:
        return yaml_text.loads(text, deepest=DEEPEST)
    except yaml_text.NotStrictYaml as why:
        raise DocumentMalformed(f"The document is not proper YAML. {why}") from why
