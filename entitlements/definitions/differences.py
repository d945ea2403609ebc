"""Pure: what changed between two versions of a tool's definition, in plain sentences."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from entitlements import tool_schemas
from entitlements.tool_schemas import Direction

from .definitions import SCHEMAS, TEXTS, Change, classify, hints, is_same

_LONGEST_QUOTE: Final = 160


def difference(old: Mapping[str, Any] | None, new: Mapping[str, Any] | None) -> list[str]:
    """Say every difference in plain sentences; an empty list only when there is none.

    The sentences quote the server's words, which are untrusted: escape them where they are shown.
    """
    if old is None or new is None:
        change = classify(old, new)
        return {
            Change.ADDED: ["The server offers this tool for the first time."],
            Change.REMOVED: ["The server no longer offers this tool."],
        }.get(change, [])
    sentences: list[str] = []
    for field in sorted(key for key in old.keys() | new.keys() if not is_same(old, new, key)):
        if field in SCHEMAS:
            sentences += _schema_sentences(field, old.get(field), new.get(field))
        elif field == "annotations":
            sentences += _hint_sentences(old, new)
        elif field in TEXTS and field != "_meta":
            sentences.append(_text_sentence(field, old.get(field), new.get(field)))
        else:
            sentences.append(f"The field {field} changed.")
    return sentences


def _quoted(value: object) -> str:
    text = value if isinstance(value, str) else tool_schemas.key_of(value)
    return f"“{text}”" if len(text) <= _LONGEST_QUOTE else f"“{text[:_LONGEST_QUOTE]}…”"


def _text_sentence(field: str, old: object, new: object) -> str:
    if old is None or new is None:
        return f"The {field} was {'added' if old is None else 'removed'}: {_quoted(new if old is None else old)}."
    return f"The {field} changed from {_quoted(old)} to {_quoted(new)}."


def _hint_sentences(old: Mapping[str, Any], new: Mapping[str, Any]) -> list[str]:
    words = {
        "readOnlyHint": ("says that the tool only reads", "no longer says that the tool only reads"),
        "destructiveHint": ("says that the tool may destroy things", "says that the tool destroys nothing"),
        "idempotentHint": ("says that repeating a call changes nothing", "says that repeating a call matters"),
        "openWorldHint": ("says that the tool reaches the outside world", "says that the tool stays inside"),
    }
    before, after = hints(old), hints(new)
    changed = [key for key in sorted(before.keys() | after.keys()) if before.get(key) != after.get(key)]
    sentences = [
        f"The server now {words[key][0 if after.get(key) else 1]}." if key in words else f"The hint {key} changed."
        for key in changed
    ]
    return sentences or ["The annotations changed in their wording."]


def _schema_sentences(field: str, old: object, new: object) -> list[str]:
    """Say what happened to each named argument, then whether anything else in the schema changed."""
    word = "argument" if field == "inputSchema" else "result field"
    before, after = tool_schemas.properties(old), tool_schemas.properties(new)
    sentences: list[str] = []
    for name in sorted(after.keys() - before.keys()):
        must = " and must be given" if name in tool_schemas.required(new) else ""
        sentences.append(f"The {word} {_quoted(name)} was added{must}.")
    sentences.extend(f"The {word} {_quoted(name)} was removed." for name in sorted(before.keys() - after.keys()))
    for name in sorted(before.keys() & after.keys()):
        sentences += _argument_sentences(f"The {word} {_quoted(name)}", before[name], after[name])
        if (name in tool_schemas.required(old)) != (name in tool_schemas.required(new)):
            sentences.append(
                f"The {word} {_quoted(name)} {'must' if name in tool_schemas.required(new) else 'need not'} be given."
            )
    rest = [_rest(old), _rest(new)]
    if tool_schemas.key_of(rest[0]) != tool_schemas.key_of(rest[1]) or not sentences:
        sentences.append(f"Something else in the {field} changed.")
    return sentences


def _argument_sentences(subject: str, old: object, new: object) -> list[str]:
    if tool_schemas.key_of(old) == tool_schemas.key_of(new):
        return []
    ways = tool_schemas.compare(tool_schemas.skeleton(old), tool_schemas.skeleton(new))
    if not ways:
        return [f"{subject} is described in other words."]
    if ways == {Direction.WIDER}:
        return [f"{subject} allows more than before."]
    return [f"{subject} allows less than before." if ways == {Direction.NARROWER} else f"{subject} changed its form."]


def _rest(schema: object) -> object:
    return (
        {k: v for k, v in schema.items() if k not in ("properties", "required")}
        if isinstance(schema, Mapping)
        else schema
    )
