"""Argument limits as the docs tell them (docs/operate/argument-limits.md), read slowly and by hand.

Shares no code with the product, and is written otherwise: it looks at one character after another, and counts in
fractions. `covers` says whether arguments are inside limits at a moment. Raises `Refused` for limits that mean nothing.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Mapping
from decimal import Decimal
from fractions import Fraction
from typing import Any, cast

from tests.entitlements.decisions.limit_forms import (
    address,
    address_path,
    falls_under,
    file_path,
    host_entry,
    is_canonical,
    is_name,
    is_near,
    is_on_side,
    mail_domain,
    span,
    window,
)

WORDS = ("required", "optional", "absent")


class Refused(Exception):
    """The limits cannot be understood."""


def covers(limits: Mapping[Any, Any], arguments: Mapping[str, Any], now: float) -> bool:
    """Whether the arguments are inside the limits at a moment, in seconds since 1970."""
    entries = [(steps_of(name), limit) for name, limit in limits.items()]
    check_limits(entries)
    return not entries or inside(entries, arguments, now)


# Names and presence

type Entries = list[tuple[tuple[str, ...], Any]]


def steps_of(name: object) -> tuple[str, ...]:
    """Split a name; the last step of a name that stands for the rest is an empty text."""
    if not isinstance(name, str) or not is_canonical(name):
        raise Refused("name")
    if name[:1] == "/":
        steps = [step.replace("~1", "/").replace("~0", "~") for step in name[1:].split("/")]
        if "" in steps:
            raise Refused("empty step")
    else:
        steps = name.split(".")
        if "" in steps or "*" in steps[:-1]:
            raise Refused("step")
        if steps[-1] == "*":
            steps[-1] = ""
    if len(steps) > 8:
        raise Refused("deep")
    return tuple(steps)


def check_limits(entries: Entries) -> None:
    """Refuse limits that mean nothing."""
    if (
        len({path for path, _ in entries if path[-1]}) < sum(bool(path[-1]) for path, _ in entries)
        or len(entries) > 200
    ):
        raise Refused("twice, or too many")
    for path, limit in entries:
        if not isinstance(limit, Mapping) or not limit:
            raise Refused("no constraints")
        if not path[-1]:
            if list(limit) != ["absent"] or limit["absent"] is not True:
                raise Refused("the rest can only be absent")
            continue
        stated = [word for word in WORDS if word in limit]
        rules = {kind: want for kind, want in limit.items() if kind not in WORDS}
        if len(stated) > 1 or any(limit[word] is not True for word in stated) or ("absent" in limit and rules):
            raise Refused("presence")
        check_rules(rules, 0)
        reached_into = any(other[: len(path)] == path and len(other) > len(path) for other, _ in entries)
        if reached_into and (rules or "absent" in limit):
            raise Refused("an object and a value")
    check_names(entries)


def check_names(entries: Entries) -> None:
    """Refuse names of one object that differ by case or form alone."""
    together: dict[tuple[str, ...], set[str]] = {}
    for path, _ in entries:
        for depth, step in enumerate(path):
            if step:
                together.setdefault(path[:depth], set()).add(step)
    for names in together.values():
        if len({alike(name) for name in names}) < len(names):
            raise Refused("names alike")


def alike(name: str) -> str:
    """Return a name as a careless reader has it."""
    return unicodedata.normalize("NFKC", name).casefold() if any(ord(c) > 127 for c in name) else name.casefold()


def inside(entries: Entries, value: object, now: float) -> bool:
    """Whether an object is inside the limits on what is in it."""
    if not isinstance(value, Mapping):
        return False
    named = {path[0] for path, _ in entries if path[0]}
    for name in named:
        own: Mapping[str, Any] = next((limit for path, limit in entries if path == (name,)), {})
        within = [(path[1:], limit) for path, limit in entries if path[0] == name and len(path) > 1]
        if name not in value:
            if must_be_there(own, within):
                return False
        elif own.get("absent") or (within and not inside(within, value[name], now)) or not hold(own, value[name], now):
            return False
    is_closed = any(path == ("",) for path, _ in entries)
    others = [name for name in value if name not in named]
    return not (is_closed and others) and not {alike(name) for name in others} & {alike(name) for name in named}


def hold(limit: Mapping[str, Any], value: object, now: float) -> bool:
    """Whether a value meets all constraints of a limit."""
    return all(holds(kind, want, value, now) for kind, want in limit.items() if kind not in WORDS)


def must_be_there(own: Mapping[str, Any], within: Entries) -> bool:
    """Whether an argument must be given: where it or something in it is required, and it is not optional itself."""
    if own.get("optional") or own.get("absent"):
        return False
    if own:
        return True
    first = {path[0] for path, _ in within if path[0]}
    return any(
        must_be_there(
            next((limit for path, limit in within if path == (name,)), {}),
            [(path[1:], limit) for path, limit in within if path[0] == name and len(path) > 1],
        )
        for name in first
    )


# Constraints


def check_rules(rules: Mapping[Any, Any], depth: int) -> None:
    """Refuse constraints that mean nothing. An unknown one has no reader."""
    if depth > 4 or ("equals" in rules and "one_of" in rules):
        raise Refused("rules")
    for kind, want in rules.items():
        if kind not in CHECKS:
            raise Refused(kind)
        if kind == "items":
            if not isinstance(want, Mapping) or not want or ("subset" in rules and {"one_of", "equals"} & want.keys()):
                raise Refused("items")
            check_rules(want, depth + 1)
        elif not CHECKS[kind](want):
            raise Refused(kind)
    if "subset" in rules and depth >= 4:
        raise Refused("a subset is a rule for each item")
    check_ends(rules)


def check_ends(rules: Mapping[Any, Any]) -> None:
    """Refuse ends between which nothing is left."""
    for least, most in (("min", "max"), ("min_length", "max_length"), ("min_items", "max_items")):
        if least in rules and most in rules and fraction(rules[least]) > fraction(rules[most]):  # type: ignore[operator]
            raise Refused("nothing between")
    if "after" in rules and "before" in rules and span(rules["after"])[0] >= span(rules["before"])[0]:  # type: ignore[index]
        raise Refused("nothing between")


def holds(kind: str, want: Any, value: Any, now: float) -> bool:  # noqa: ANN401, PLR0911, C901, PLR0912 - all kinds in one
    """Whether a value meets one constraint."""
    if kind == "equals":
        return same(want, value)
    if kind == "one_of":
        return any(same(each, value) for each in want)
    if kind in ("min", "max"):
        number = fraction(value)
        if number is None:
            return False
        bound = cast("Fraction", fraction(want))
        return number >= bound if kind == "min" else number <= bound
    if kind in ("min_length", "max_length"):
        if not is_canonical(value):
            return False
        return bool(len(value) >= want if kind == "min_length" else len(value) <= want)
    if kind in ("min_items", "max_items", "items", "subset"):
        if not isinstance(value, list):
            return False
        if kind == "subset":
            return all(any(same(each, item) for each in want) for item in value)
        if kind == "items":
            return all(holds(inner, each, item, now) for inner, each in want.items() for item in value)
        return bool(len(value) >= want if kind == "min_items" else len(value) <= want)
    if kind in ("under", "path_prefix"):
        parsed = file_path(value) if kind == "under" else address_path(value)
        bases = [file_path(base) if kind == "under" else address_path(base) for base in listed(want)]
        return parsed is not None and any(parsed[: len(base)] == base for base in bases if base is not None)
    if kind == "domain_in":
        name = mail_domain(value)
        return name is not None and any(falls_under(name, pattern.lower()) for pattern in listed(want))
    if kind == "host_in":
        place = address(value)
        entries = [entry for entry in map(host_entry, listed(want)) if entry is not None]
        return place is not None and any(
            place[0] == scheme and place[2] == port and falls_under(place[1], name) for scheme, name, port in entries
        )
    if kind == "within":
        return is_near(want, value, now)
    return is_on_side(kind, want, value)


def same(want: object, value: object) -> bool:
    """Whether two JSON scalars are the same: of one type, texts in composed form, numbers by value."""
    if isinstance(want, bool) or isinstance(value, bool) or want is None or value is None:
        return want is value
    if isinstance(want, str) or isinstance(value, str):
        return is_canonical(value) and want == value
    return fraction(want) is not None and fraction(want) == fraction(value)


def is_scalar(value: object) -> bool:
    """Whether a value is a scalar that can be compared."""
    return value is None or isinstance(value, bool) or fraction(value) is not None or is_canonical(value)


def fraction(value: object) -> Fraction | None:
    """Return a finite number exactly as it is written."""
    if isinstance(value, bool) or not isinstance(value, int | float | Decimal):
        return None
    if not isinstance(value, int) and str(value).lower().lstrip("-") in ("inf", "nan", "infinity", "snan"):
        return None
    return Fraction(value) if isinstance(value, int) else Fraction(str(value))


def listed(want: Any) -> list[Any]:  # noqa: ANN401 - whatever is written
    return [want] if isinstance(want, str) else list(want)


# What parameters mean something


def is_count(want: object) -> bool:
    return isinstance(want, int) and not isinstance(want, bool) and 0 <= want <= 10**9


def is_choice(want: object) -> bool:
    return isinstance(want, list | tuple) and 0 < len(want) <= 1000 and all(map(is_scalar, want))


def texts_that(fits: Any) -> Any:  # noqa: ANN401 - a question about a text
    """Return whether what is written is a text, or some, that fit each."""
    return lambda want: (
        (isinstance(want, str) or (isinstance(want, list | tuple) and 0 < len(want) <= 1000))
        and all(isinstance(each, str) and fits(each) for each in listed(want))
    )


def is_pattern(each: str) -> bool:
    return each.isascii() and is_name(each.lower().removeprefix("*."))


CHECKS: dict[str, Any] = {
    "equals": is_scalar,
    "one_of": is_choice,
    "subset": is_choice,
    "min": lambda want: fraction(want) is not None,
    "max": lambda want: fraction(want) is not None,
    **dict.fromkeys(("min_length", "max_length", "min_items", "max_items"), is_count),
    "under": texts_that(lambda each: file_path(each) is not None),
    "path_prefix": texts_that(lambda each: each[:1] == "/" and address_path(each) is not None),
    "domain_in": texts_that(is_pattern),
    "host_in": texts_that(lambda each: host_entry(each) is not None),
    "after": lambda want: span(want) is not None,
    "before": lambda want: span(want) is not None,
    "within": lambda want: window(want) is not None,
    "items": None,
}
