"""The closed vocabulary of constraints on one argument, and when one implies another.

Every kind knows how to read its parameter, whether a value holds, whether one
parameter lies within another, and how to say itself. There is no regular expression
of a user's anywhere. A value that is not in canonical form never holds: comparing a
cleaned copy would decide on something else than what is forwarded.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final

from entitlements.constraints import dates, hosts, paths
from entitlements.constraints.values import MOST_CHOICES, Malformed, Number, Scalar, array, number, scalar, text

type Rules = tuple[tuple[str, Any], ...]

_DEEPEST_ITEMS: Final = 4
_BOTH_ENDS: Final = (("min", "max"), ("min_length", "max_length"), ("min_items", "max_items"))


@dataclass(frozen=True, slots=True)
class Kind:
    """One kind of constraint. `holds(parameter, value, now)`, `within(narrower, wider)`.

    `reads(parameter, value)` says whether the value is one that the kind is about: where it is not, `holds` is false,
    and a caller that asks what surely lies outside cannot believe that. `now` is in seconds since 1970, None where
    it is not known.
    """

    read: Callable[[object], Any]
    reads: Callable[[Any, object], bool]
    holds: Callable[[Any, object, float | None], bool]
    within: Callable[[Any, Any], bool]
    say: Callable[[Any], str]


@dataclass(frozen=True, slots=True)
class Choice:
    """The values of a `one_of`: as written, and in the form in which they are compared."""

    values: tuple[object, ...]
    keys: frozenset[Scalar]


# one_of


def _read_choice(written: object) -> Choice:
    if not isinstance(written, list | tuple) or not written or len(written) > MOST_CHOICES:
        raise Malformed(f"one_of wants a list of 1 to {MOST_CHOICES} values")
    keys = [scalar(value) for value in written]
    if any(key is None for key in keys):
        raise Malformed("one_of wants texts in composed form (NFC), numbers, true, false or null")
    return Choice(tuple(written), frozenset(key for key in keys if key is not None))


def _one_of(choice: Choice, value: object, _now: float | None) -> bool:
    return scalar(value) in choice.keys


def _say_choice(choice: Choice) -> str:
    values = ", ".join(_literal(value) for value in choice.values)
    return f"is {values}" if len(choice.values) == 1 else f"is one of {values}"


def _literal(value: object) -> str:
    if value is None or isinstance(value, bool):
        return {None: "null", True: "true", False: "false"}[value]
    return str(value)


# Bounds


def _read_bound(written: object) -> Number:
    bound = number(written)
    if bound is None:
        raise Malformed("min and max want a finite number")
    return bound


def _read_count(written: object) -> int:
    if type(written) is not int or not 0 <= written <= 10**9:
        raise Malformed("a length wants a whole number from 0")
    return written


def _at_least(bound: Number, value: object, _now: float | None) -> bool:
    amount = number(value)
    return amount is not None and amount >= bound


def _at_most(bound: Number, value: object, _now: float | None) -> bool:
    amount = number(value)
    return amount is not None and amount <= bound


def _long(least: int, value: object, _now: float | None) -> bool:
    content = text(value)
    return content is not None and len(content) >= least


def _short(most: int, value: object, _now: float | None) -> bool:
    content = text(value)
    return content is not None and len(content) <= most


# Arrays


def _many(least: int, value: object, _now: float | None) -> bool:
    return isinstance(value, list) and len(value) >= least


def _few(most: int, value: object, _now: float | None) -> bool:
    return isinstance(value, list) and len(value) <= most


def _every_item(rules: Rules, value: object, now: float | None) -> bool:
    return isinstance(value, list) and all(KINDS[kind].holds(want, item, now) for item in value for kind, want in rules)


def _say_rules(rules: Rules) -> str:
    return " and ".join(KINDS[kind].say(want) for kind, want in rules)


def _all_within(fits: Callable[[Any, Any], bool]) -> Callable[[tuple[Any, ...], tuple[Any, ...]], bool]:
    """Lift a relation between two entries to lists: every narrower entry fits some wider one."""
    return lambda narrower, wider: all(any(fits(inner, outer) for outer in wider) for inner in narrower)


def read(written: Mapping[object, object], depth: int = 0) -> Rules:
    """Read the constraints of one value, in a fixed order. Raises Malformed.

    Two that contradict each other are malformed, since a person who writes them means something else.
    """
    values = _plain(written)
    if unknown := sorted(str(kind) for kind in values if kind not in KINDS):
        raise Malformed(f"unknown constraint: {', '.join(unknown)}")
    if depth > _DEEPEST_ITEMS:
        raise Malformed("items are nested too deep")
    rules = tuple(
        (kind, _read_items(values[kind], depth) if kind == "items" else KINDS[kind].read(values[kind]))
        for kind in KINDS
        if kind in values
    )
    bounds: dict[str, Any] = dict(rules)
    for least, most in _BOTH_ENDS:
        if least in bounds and most in bounds and bounds[least] > bounds[most]:
            raise Malformed(f"{least} is above {most}")
    if "after" in bounds and "before" in bounds and dates.is_empty(bounds["after"], bounds["before"]):
        raise Malformed("nothing is after the one and before the other")
    return rules


def _plain(written: Mapping[object, object]) -> dict[object, object]:
    """Write `equals` as a choice of one, and `subset` as a choice for each item, so that all compare alike."""
    values = dict(written)
    if "equals" in values:
        if "one_of" in values:
            raise Malformed("equals and one_of cannot stand together")
        values["one_of"] = [values.pop("equals")]
    if "subset" in values:
        inner = values.get("items", {})
        if not isinstance(inner, Mapping) or inner.keys() & {"one_of", "equals"}:
            raise Malformed("subset and a choice for each of the items cannot stand together")
        if not isinstance(values["subset"], list | tuple) or not values["subset"]:
            raise Malformed(f"subset wants a list of 1 to {MOST_CHOICES} values")
        values["items"] = {**inner, "one_of": values.pop("subset")}
    return values


def _read_items(written: object, depth: int = 0) -> Rules:
    if not isinstance(written, Mapping) or not written:
        raise Malformed("items wants an object of constraints")
    return read(written, depth + 1)


def implies(narrower: Rules, wider: Rules) -> bool:
    """Whether a value that meets the narrower rules surely meets the wider ones, at any time. In doubt, no."""
    have = dict(narrower)
    for kind, want in wider:
        if kind in have and KINDS[kind].within(have[kind], want):
            continue
        choice = have.get("one_of")
        if choice is None or not all(KINDS[kind].holds(want, value, None) for value in choice.values):
            return False
    return True


def say(rules: Rules) -> str:
    """Say the rules as the rest of a sentence that begins with the argument's name."""
    return _say_rules(rules)


def _listed(prefix: str, entry: Callable[[Any], str]) -> Callable[[tuple[Any, ...]], str]:
    return lambda entries: f"{prefix} {' or '.join(entry(value) for value in entries)}"


def _counted(prefix: str, thing: str) -> Callable[[int], str]:
    return lambda count: f"{prefix} {count} {thing}{'' if count == 1 else 's'}"


def _not_less(inner: Number, outer: Number) -> bool:
    return inner >= outer


def _not_more(inner: Number, outer: Number) -> bool:
    return inner <= outer


def _readable(read_value: Callable[[object], object]) -> Callable[[Any, object], bool]:
    return lambda _want, value: read_value(value) is not None


_NUMBER: Final = _readable(number)
_TEXT: Final = _readable(text)
_ARRAY: Final = _readable(array)
_MOMENT: Final = dates.is_comparable

KINDS: Final[dict[str, Kind]] = {
    "one_of": Kind(
        _read_choice, _readable(scalar), _one_of, lambda inner, outer: inner.keys <= outer.keys, _say_choice
    ),
    "min": Kind(_read_bound, _NUMBER, _at_least, _not_less, lambda n: f"is at least {n}"),
    "max": Kind(_read_bound, _NUMBER, _at_most, _not_more, lambda n: f"is at most {n}"),
    "min_length": Kind(_read_count, _TEXT, _long, _not_less, _counted("has at least", "character")),
    "max_length": Kind(_read_count, _TEXT, _short, _not_more, _counted("has at most", "character")),
    "under": Kind(
        paths.read_paths,
        _readable(paths.path),
        paths.under,
        _all_within(paths.below),
        _listed("stays under", paths.say_path),
    ),
    "path_prefix": Kind(
        paths.read_prefixes,
        _readable(paths.segments),
        paths.has_prefix,
        _all_within(paths.extends),
        _listed("has a path that begins with", paths.say_segments),
    ),
    "domain_in": Kind(
        hosts.read_domains,
        _readable(hosts.domain),
        hosts.in_domains,
        _all_within(hosts.matches),
        _listed("belongs to", str),
    ),
    "host_in": Kind(
        hosts.read_hosts,
        _readable(hosts.url_host),
        hosts.in_hosts,
        _all_within(hosts.host_within),
        _listed("points to", hosts.say_host),
    ),
    "after": Kind(dates.read_moment, _MOMENT, dates.after, dates.not_sooner, lambda bound: f"is after {bound[1]}"),
    "before": Kind(dates.read_moment, _MOMENT, dates.before, dates.not_later, lambda bound: f"is before {bound[1]}"),
    "within": Kind(dates.read_window, _readable(dates.moment), dates.within, dates.is_narrower, dates.say_window),
    "min_items": Kind(_read_count, _ARRAY, _many, _not_less, _counted("has at least", "item")),
    "max_items": Kind(_read_count, _ARRAY, _few, _not_more, _counted("has at most", "item")),
    "items": Kind(
        _read_items, _ARRAY, _every_item, implies, lambda rules: f"has only items of which each {_say_rules(rules)}"
    ),
}
