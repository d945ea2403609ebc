"""What a guardrail says it is about, as people write it: read into a rule, and said in sentences. Pure.

    {"system": "erp", "action": ["write", "delete"], "risk": "high", "argument": {"amount": {"min": 1000}},
     "time": {"days": ["sat", "sun"], "zone": "Europe/Paris"}, "session_risk": "medium", "labels": ["pii"]}

All that is named must match. `risk` and `session_risk` mean this level and those above, `delegation_depth` at least so
many agents behind the one that acts. `argument` is written like a grant's limits (`limits`).
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from http import HTTPStatus
from typing import Any, Final

from entitlements.decisions import limits
from entitlements.decisions.verdicts import Effect
from entitlements.errors import DomainError
from entitlements.guardrails import hours
from entitlements.guardrails.rules import Guardrail
from entitlements.words import Action, Risk

OFF: Final = "off"
EFFECTS: Final = {"forbid": Effect.DENY, "hold": Effect.HOLD, "step_up": Effect.STEP_UP}
AGENT_KINDS: Final = ("personal", "shared", "service", "ephemeral")
MOST_NAMES: Final = 200
LONGEST_NAME: Final = 200
DEEPEST: Final = 4
MOST_CONTEXTS: Final = 10
_CONTEXT: Final = re.compile(r"[!#-\[\]-~]{1,255}")


class GuardrailMalformed(DomainError):
    """The guardrail does not say which calls it is about."""

    code, status = "guardrail_malformed", HTTPStatus.UNPROCESSABLE_ENTITY


def read(when: object) -> dict[str, Any]:
    """Read what a guardrail is about into the fields of a `Guardrail`. Raises GuardrailMalformed with the reason."""
    if not isinstance(when, Mapping) or not when:
        raise GuardrailMalformed("A guardrail says which calls it is about: name a tool, system, action, risk or more.")
    if unknown := sorted(str(word) for word in when if word not in _READERS):
        raise GuardrailMalformed(f"Not known: {', '.join(unknown)}. Known: {', '.join(_READERS)}.")
    found: dict[str, Any] = {}
    for word, written in when.items():
        field, reader = _READERS[word]
        try:
            found[field] = reader(written)
        except (ValueError, limits.LimitMalformed) as why:
            raise GuardrailMalformed(f"{word}: {why}.".replace("..", "."), part=word) from why
    return found


def compile_all(rows: Iterable[Sequence[Any]]) -> tuple[Guardrail, ...]:
    """Compile stored guardrails: key, name, position, effect, mode, conditions, seconds of `max_age`, and `acr`.

    Conditions and `acr` are JSON. One that cannot be read matches every call where it is enforced, and forbids it;
    where it observes it is left out.
    """
    compiled = (_compile(*row) for row in rows if row[4] != OFF)
    return tuple(rule for rule in compiled if rule is not None)


def _compile(
    key: str, name: str, position: int, effect: str, mode: str, conditions: str, max_age: int | None, acr: str = "[]"
) -> Guardrail | None:
    known: dict[str, Any] = {"name": name, "key": key, "position": position, "observes": mode == "observe"}
    if max_age is not None:
        known["max_age"] = float(max_age)
    try:
        return Guardrail(effect=EFFECTS[effect], acr=contexts(json.loads(acr)), **known, **read(json.loads(conditions)))
    except (GuardrailMalformed, KeyError, ValueError, TypeError):
        return None if mode == "observe" else Guardrail(effect=Effect.DENY, **known, is_broken=True)


def contexts(written: object) -> tuple[str, ...]:
    """Read the contexts of which a step-up asks for one, as `acr_values` names them. Raises GuardrailMalformed."""
    if not isinstance(written, list) or len(written) > MOST_CONTEXTS:
        raise GuardrailMalformed(f"acr: wants a list of at most {MOST_CONTEXTS} contexts.", part="acr")
    if not all(isinstance(each, str) and _CONTEXT.fullmatch(each) for each in written):
        raise GuardrailMalformed("acr: a context has printable characters and no space.", part="acr")
    return tuple(dict.fromkeys(written))


def _names(written: object) -> frozenset[str]:
    listed = [written] if isinstance(written, str) else written
    if not isinstance(listed, list | tuple) or not 0 < len(listed) <= MOST_NAMES:
        raise ValueError(f"wants a name, or a list of 1 to {MOST_NAMES} names")
    if not all(isinstance(each, str) and 0 < len(each) <= LONGEST_NAME for each in listed):
        raise ValueError("wants names")
    return frozenset(listed)


def _tools(written: object) -> frozenset[tuple[str, str]]:
    """Read tools as `system/tool`, or as the name of a tool anywhere."""
    parted = (name.partition("/") for name in _names(written))
    return frozenset((first, rest) if slash else ("", first) for first, slash, rest in parted)


def _choices(allowed: Iterable[str]) -> Callable[[object], frozenset[str]]:
    known = tuple(allowed)

    def read_choices(written: object) -> frozenset[str]:
        names = _names(written)
        if not names <= set(known):
            raise ValueError(f"is among {', '.join(known)}")
        return names

    return read_choices


def _actions(written: object) -> frozenset[Action]:
    return frozenset(map(Action, _choices(Action)(written)))


def _risk(written: object) -> Risk:
    if not isinstance(written, str) or written not in {*Risk}:
        raise ValueError(f"is one of {', '.join(Risk)}, and means those above too")
    return Risk(written)


def _risks(written: object) -> frozenset[Risk]:
    least = _risk(written)
    return frozenset(risk for risk in Risk if risk.rank >= least.rank)


def _depth(written: object) -> int:
    if type(written) is not int or not 1 <= written <= DEEPEST:
        raise ValueError(f"is a number from 1 to {DEEPEST}: at least so many agents behind the one that acts")
    return written


def _arguments(written: object) -> limits.Compiled:
    if not isinstance(written, Mapping) or not written:
        raise ValueError("wants the conditions of each argument, such as an amount of at least 1000")
    compiled = limits.compile(written)
    if compiled.free:
        raise ValueError("names no condition")
    return compiled


_READERS: Final[dict[str, tuple[str, Callable[[object], Any]]]] = {
    "system": ("systems", _names),
    "tool": ("tools", _tools),
    "action": ("actions", _actions),
    "risk": ("risks", _risks),
    "data_class": ("data_classes", _names),
    "agent_kind": ("agent_kinds", _choices(AGENT_KINDS)),
    "delegation_depth": ("depth", _depth),
    "argument": ("arguments", _arguments),
    "time": ("hours", hours.read),
    "session_risk": ("session_risk", _risk),
    "labels": ("labels", _names),
}
"""The words that a guardrail can be written with: the field of the rule, and what reads it."""


def names(when: Mapping[str, Any], word: str) -> list[str]:
    """Return what is written under a word as a list; empty where nothing is."""
    written = when.get(word, [])
    return [written] if isinstance(written, str) else list(written)


def written(when: Mapping[str, Any]) -> str:
    """Return conditions as they are stored."""
    return json.dumps(when)
