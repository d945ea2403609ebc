"""First impressions of a tool: text that hides something, and a suggested action and risk, with reasons.

Names and descriptions come from whoever wrote the server: they are shown, never
obeyed. The suggestions are rules in plain sight, and a person confirms each.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Final

from entitlements import schemas
from entitlements.words import Action, Risk


class Sign(StrEnum):
    """One way in which a text can show a person something else than it says."""

    BIDI = "bidi"
    INVISIBLE = "invisible"
    CONTROL = "control"
    MIXED_SCRIPTS = "mixed_scripts"
    NOT_COMPOSED = "not_composed"
    INSTRUCTION = "instruction"


@dataclass(frozen=True, slots=True)
class Finding:
    """A sign at a place (JSON Pointer); `count` is of characters, or of words for mixed scripts and instructions."""

    place: str
    sign: Sign
    count: int


@dataclass(frozen=True, slots=True)
class Suggestion:
    """A proposed action and risk for a new tool, and the rules that led there."""

    action: Action
    risk: Risk
    because: tuple[str, ...]


def _set_of(words: str) -> frozenset[str]:
    return frozenset(words.split())


_BIDI: Final = frozenset("\u061c\u200e\u200f\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069")
_INVISIBLE: Final = frozenset("\u00ad\u034f\u115f\u1160\u17b4\u17b5\u180e\u2800\u3164\ufeff\uffa0")
_JOINERS: Final = frozenset("\u200d\ufe0f")
_PLAIN_CONTROLS: Final = frozenset("\t\n\r")
_SCRIPTS: Final = ("LATIN", "CYRILLIC", "GREEK", "ARMENIAN", "CHEROKEE", "COPTIC")
_INSTRUCTION: Final = re.compile(
    r"ignore (?:all |any )?(?:previous|prior|earlier) |do not (?:tell|mention|inform)|<(?:important|system|secret)>"
    r"|before (?:using|calling) (?:this|any) (?:other )?tool|(?:system|hidden) prompt|instead of the user",
    re.IGNORECASE,
)
_WORD: Final = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+|[0-9]+")
_VERBS: Final = {
    Action.EXECUTE: _set_of("execute exec run eval shell command invoke spawn deploy script sudo"),
    Action.DELETE: _set_of(
        "delete remove drop purge destroy erase wipe truncate revoke reset uninstall kill terminate clear"
    ),
    Action.WRITE: _set_of(
        "create write update add set put post insert send edit modify move rename copy upload publish commit push "
        "merge approve assign book pay transfer refund grant schedule save append submit checkout"
    ),
    Action.READ: _set_of(
        "get list read search find fetch show describe query view count status log diff check lookup convert "
        "calculate compare validate current time now"
    ),
}
_USUAL: Final = {
    Action.READ: Risk.LOW,
    Action.WRITE: Risk.MEDIUM,
    Action.DELETE: Risk.HIGH,
    Action.EXECUTE: Risk.HIGH,
}
_MONEY: Final = _set_of("pay payment payments transfer refund invoice iban payout charge purchase")
_SECRETS: Final = _set_of("password passwords passwd secret secrets credential credentials apikey")
_FREE_CODE: Final = _set_of("command cmd code script sql query shell expression")


def hidden(text: str) -> int:
    """Count the characters in a text that a reader cannot see or that reorder what she sees."""
    return sum(1 for _, sign in _signed(text) if sign is not None)


def visible(text: str) -> str:
    r"""Write hidden characters out as `\u{...}`, so that what is there can be seen."""
    return "".join(character if sign is None else f"\\u{{{ord(character):x}}}" for character, sign in _signed(text))


def signs(text: str) -> dict[Sign, int]:
    """Count every suspicious sign in one text."""
    found: dict[Sign, int] = {}
    for _, sign in _signed(text):
        if sign is not None:
            found[sign] = found.get(sign, 0) + 1
    if mixed := sum(1 for word in re.findall(r"\w+", text) if _mixes(word)):
        found[Sign.MIXED_SCRIPTS] = mixed
    if not unicodedata.is_normalized("NFC", text):
        found[Sign.NOT_COMPOSED] = 1
    if told := len(_INSTRUCTION.findall(text)):
        found[Sign.INSTRUCTION] = told
    return found


def inspect(raw: Mapping[str, Any]) -> list[Finding]:
    """Look at every text in a tool definition, names of arguments included, in document order."""
    return [Finding(place, sign, count) for place, text in _texts(raw, "") for sign, count in signs(text).items()]


def suggest(raw: Mapping[str, Any]) -> Suggestion:
    """Propose an action and a risk. In doubt the graver one: a name no rule knows is a write of medium risk.

    A server's own hints can only make the suggestion graver, since they are not to be trusted.
    """
    because: list[str] = []
    words = _words(str(raw.get("name", "")))
    action = _action(words, because)
    annotations = raw.get("annotations")
    claimed = annotations if isinstance(annotations, Mapping) else {}
    if action is Action.READ and claimed.get("readOnlyHint") is False:
        action = Action.WRITE
        because.append("The server says that the tool does not only read.")
    if action is Action.WRITE and claimed.get("destructiveHint") is True:
        action = Action.DELETE
        because.append("The server says that the tool may destroy things.")
    arguments = set(schemas.properties(raw.get("inputSchema")))
    named = {word for argument in arguments for word in _words(argument)} | set(words)
    if action is not Action.EXECUTE and action is not Action.READ and named & _FREE_CODE:
        action = Action.EXECUTE
        because.append("An argument takes commands or code.")
    return Suggestion(action, _risk(action, named, raw, because), tuple(because))


def _action(words: list[str], because: list[str]) -> Action:
    for action, verbs in _VERBS.items():
        if met := next((word for word in words if word in verbs), None):
            because.append(f"Its name says “{met}”, which is {action.value}.")
            return action
    because.append("Its name does not say what it does, so it counts as write.")
    return Action.WRITE


def _risk(action: Action, named: set[str], raw: Mapping[str, Any], because: list[str]) -> Risk:
    risk = {Action.READ: Risk.LOW, Action.WRITE: Risk.MEDIUM, Action.DELETE: Risk.HIGH, Action.EXECUTE: Risk.HIGH}[
        action
    ]
    floors = (
        (bool(named & _MONEY) and action is not Action.READ, Risk.CRITICAL, "It deals with money."),
        (bool(named & _SECRETS), Risk.HIGH, "It deals with secrets."),
        (action is Action.READ and bool(named & _FREE_CODE), Risk.MEDIUM, "It takes a free query."),
        (bool(inspect(raw)), Risk.HIGH, "Its texts hide something or give instructions."),
    )
    for applies, floor, sentence in floors:
        if applies:
            because.append(sentence)
            risk = max(risk, floor, key=lambda one: one.rank)
    return risk


def _words(name: str) -> list[str]:
    return [word.lower() for word in _WORD.findall(name)]


def _signed(text: str) -> Iterator[tuple[str, Sign | None]]:
    """Pair every character with the way in which it hides; the joiners inside an emoji do not."""
    before = ""
    for character in text:
        joins = character in _JOINERS and before != "" and unicodedata.category(before) in ("So", "Sk")
        yield character, None if joins else _hides(character)
        before = before if joins else character


def _hides(character: str) -> Sign | None:
    if " " <= character <= "~" or character in _PLAIN_CONTROLS:
        return None
    if character in _BIDI:
        return Sign.BIDI
    category = unicodedata.category(character)
    if character in _INVISIBLE or category in ("Cf", "Co", "Cs", "Cn") or "\ufe00" <= character <= "\ufe0f":
        return Sign.INVISIBLE
    return Sign.CONTROL if category in ("Cc", "Zl", "Zp") else None


def _mixes(word: str) -> bool:
    """Whether one word mixes scripts whose letters look alike."""
    if word.isascii():
        return False
    names = {unicodedata.name(character, "").split(" ")[0] for character in word if character.isalpha()}
    return len(names.intersection(_SCRIPTS)) > 1


def _texts(value: object, place: str) -> Iterator[tuple[str, str]]:
    if isinstance(value, str):
        yield place, value
    elif isinstance(value, Mapping):
        for key, inner in value.items():
            step = f"{place}/{str(key).replace('~', '~0').replace('/', '~1')}"
            if not str(key).isascii() or _hides_any(str(key)):
                yield step, str(key)
            yield from _texts(inner, step)
    elif isinstance(value, list):
        for index, inner in enumerate(value):
            yield from _texts(inner, f"{place}/{index}")


def _hides_any(text: str) -> bool:
    return hidden(text) > 0
