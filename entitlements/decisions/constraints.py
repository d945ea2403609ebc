"""The closed vocabulary of constraints on one argument, and when one implies another.

Every kind knows how to read its parameter, whether a value holds, whether one
parameter lies within another, and how to say itself. There is no regular expression
of a user's anywhere. A value that is not in canonical form never holds: comparing a
cleaned copy would decide on something else than what is forwarded.
"""

from __future__ import annotations

import ipaddress
import math
import re
import unicodedata
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import Any, Final

type Number = int | Decimal
type Scalar = tuple[str, str | Number | bool | None]
type Rules = tuple[tuple[str, Any], ...]

_MOST_CHOICES: Final = 1000
_LONGEST_TEXT: Final = 4096
_LONGEST_DOMAIN: Final = 253
_LONGEST_ADDRESS: Final = 320
_HIGHEST_PORT: Final = 65535
_DEEPEST_ITEMS: Final = 4
_LABEL: Final = r"[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?"
_DOMAIN: Final = re.compile(rf"{_LABEL}(?:\.{_LABEL})*")
_LOCAL: Final = re.compile(r"[A-Za-z0-9_+'=~-]+(?:\.[A-Za-z0-9_+'=~-]+)*")
_URL: Final = re.compile(
    r"(https?)://(\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9.-]+)(?::([0-9]{1,5}))?(?:[/?#][\x21-\x5B\x5D-\x7E]*)?"
)
_PORTS: Final = {"http": 80, "https": 443}
_TRICKS: Final = re.compile(r"[\x00-\x1F\x7F\\]|%(?:2e|2f|5c|00)", re.IGNORECASE)


class Malformed(ValueError):
    """The constraint cannot be understood; the text says why."""


@dataclass(frozen=True, slots=True)
class Kind:
    """One kind of constraint. `holds(parameter, value)`, `within(narrower, wider)`."""

    read: Callable[[object], Any]
    holds: Callable[[Any, object], bool]
    within: Callable[[Any, Any], bool]
    say: Callable[[Any], str]


@dataclass(frozen=True, slots=True)
class Choice:
    """The values of a `one_of`: as written, and in the form in which they are compared."""

    values: tuple[object, ...]
    keys: frozenset[Scalar]


# Canonical values


def number(value: object) -> Number | None:
    """Read a JSON number as an exact decimal; a bool is none, nor is anything infinite."""
    if type(value) is int:
        return value
    if type(value) is float:
        return Decimal(repr(value)) if math.isfinite(value) else None
    if type(value) is Decimal:
        return value if value.is_finite() else None
    return None


def text(value: object) -> str | None:
    """Read a JSON string that is in Unicode's canonical composition (NFC); anything else is none."""
    if type(value) is not str:
        return None
    if value.isascii() or (unicodedata.is_normalized("NFC", value) and not _has_surrogate(value)):
        return value
    return None


def scalar(value: object) -> Scalar | None:
    """Read a scalar with its type, so that 1, true and "1" differ and 1 and 1.0 do not."""
    if value is None:
        return ("null", None)
    if type(value) is bool:
        return ("bool", value)
    if (as_number := number(value)) is not None:
        return ("number", as_number)
    if (as_text := text(value)) is not None:
        return ("text", as_text)
    return None


def _has_surrogate(value: str) -> bool:
    return any("\ud800" <= character <= "\udfff" for character in value)


# one_of


def _read_choice(written: object) -> Choice:
    if not isinstance(written, list | tuple) or not written or len(written) > _MOST_CHOICES:
        raise Malformed(f"one_of wants a list of 1 to {_MOST_CHOICES} values")
    keys = [scalar(value) for value in written]
    if any(key is None for key in keys):
        raise Malformed("one_of wants texts in composed form (NFC), numbers, true, false or null")
    return Choice(tuple(written), frozenset(key for key in keys if key is not None))


def _one_of(choice: Choice, value: object) -> bool:
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


def _at_least(bound: Number, value: object) -> bool:
    amount = number(value)
    return amount is not None and amount >= bound


def _at_most(bound: Number, value: object) -> bool:
    amount = number(value)
    return amount is not None and amount <= bound


def _short(most: int, value: object) -> bool:
    content = text(value)
    return content is not None and len(content) <= most


def _few(most: int, value: object) -> bool:
    return isinstance(value, list) and len(value) <= most


# Paths

type Path = tuple[bool, tuple[str, ...]]


def path(value: object) -> Path | None:
    """Read a POSIX path into (absolute, parts). None for `..`, backslashes, encoded or hidden tricks.

    `.` and doubled slashes vanish, as they do for a program that opens the file. Symbolic
    links are the upstream's own business, and a stated limit.
    """
    content = text(value)
    if not content or len(content) > _LONGEST_TEXT or _TRICKS.search(content):
        return None
    parts = tuple(part for part in content.split("/") if part not in ("", "."))
    if any(part.strip(". ") == "" for part in parts):
        return None
    absolute = content.startswith("/")
    if not absolute and parts and (parts[0].startswith("~") or ":" in parts[0]):
        return None
    return absolute, parts


def _read_paths(written: object) -> tuple[Path, ...]:
    bases = tuple(path(base) for base in _texts("under", written))
    if any(base is None for base in bases):
        raise Malformed("under wants paths without '..', backslashes or encoded characters")
    return tuple(base for base in bases if base is not None)


def _under(bases: tuple[Path, ...], value: object) -> bool:
    parsed = path(value)
    return parsed is not None and any(_below(parsed, base) for base in bases)


def _below(inner: Path, outer: Path) -> bool:
    return inner[0] == outer[0] and inner[1][: len(outer[1])] == outer[1]


def _say_path(base: Path) -> str:
    return ("/" if base[0] else "") + "/".join(base[1]) or "the working folder"


# Domains and hosts

type Host = tuple[str, str, int]


def _domain(written: str, *, wild: bool) -> str | None:
    name = written[2:] if wild and written.startswith("*.") else written
    lowered = name.lower()
    if not written.isascii() or len(name) > _LONGEST_DOMAIN or not _DOMAIN.fullmatch(lowered):
        return None
    return written.lower()


def _matches(name: str, pattern: str) -> bool:
    """Whether a name, or a narrower pattern, falls under a pattern; `*.` means at least one label more."""
    if name == pattern:
        return True
    return pattern.startswith("*.") and name.removeprefix("*.").endswith(pattern[1:])


def _read_domains(written: object) -> tuple[str, ...]:
    names = [_domain(name, wild=True) for name in _texts("domain_in", written)]
    if None in names:
        raise Malformed("domain_in wants ASCII domain names; '*.example.com' stands for every subdomain")
    return tuple(name for name in names if name is not None)


def domain(value: object) -> str | None:
    """Read a domain name, or that of a mail address, in lower case. None for anything else."""
    content = text(value)
    if content is None or len(content) > _LONGEST_ADDRESS:
        return None
    local, at, rest = content.rpartition("@")
    return None if at and not _LOCAL.fullmatch(local) else _domain(rest, wild=False)


def _in_domains(patterns: tuple[str, ...], value: object) -> bool:
    name = domain(value)
    return name is not None and any(_matches(name, pattern) for pattern in patterns)


def _host(scheme: str, name: str, port: str | None, *, wild: bool) -> Host | None:
    if name.startswith("["):
        try:
            canonical: str | None = f"[{ipaddress.IPv6Address(name[1:-1]).compressed}]"
        except ValueError:
            return None
    else:
        canonical = _domain(name, wild=wild)
    number_of_port = int(port) if port else _PORTS[scheme]
    return (scheme, canonical, number_of_port) if canonical and 0 < number_of_port <= _HIGHEST_PORT else None


def url_host(value: object) -> Host | None:
    """Read where an http(s) URL points: (scheme, host, port). None for user names, spaces, backslashes and the like."""
    content = text(value)
    match = _URL.fullmatch(content) if content is not None and len(content) <= _LONGEST_TEXT else None
    return _host(match[1], match[2], match[3], wild=False) if match else None


def _read_hosts(written: object) -> tuple[Host, ...]:
    hosts = []
    for entry in _texts("host_in", written):
        scheme, sep, rest = entry.partition("://")
        scheme, rest = (scheme, rest) if sep else ("https", entry)
        match = re.fullmatch(r"(\[[^\]]*\]|[^:\[\]]+)(?::([0-9]{1,5}))?", rest)
        host = _host(scheme, match[1], match[2], wild=True) if match and scheme in _PORTS else None
        if host is None:
            raise Malformed("host_in wants hosts such as api.example.com, *.example.com or http://localhost:8080")
        hosts.append(host)
    return tuple(hosts)


def _in_hosts(allowed: tuple[Host, ...], value: object) -> bool:
    parsed = url_host(value)
    return parsed is not None and any(_host_within(parsed, host) for host in allowed)


def _host_within(inner: Host, outer: Host) -> bool:
    return inner[0] == outer[0] and inner[2] == outer[2] and _matches(inner[1], outer[1])


def _say_host(host: Host) -> str:
    port = "" if host[2] == _PORTS[host[0]] else f":{host[2]}"
    return f"{host[0]}://{host[1]}{port}"


# Arrays


def _every_item(rules: Rules, value: object) -> bool:
    return isinstance(value, list) and all(KINDS[kind].holds(want, item) for item in value for kind, want in rules)


def _say_rules(rules: Rules) -> str:
    return " and ".join(KINDS[kind].say(want) for kind, want in rules)


def _texts(kind: str, written: object) -> list[str]:
    """Read one text or a list of texts."""
    entries = [written] if isinstance(written, str) else written
    if not isinstance(entries, list | tuple) or not entries or len(entries) > _MOST_CHOICES:
        raise Malformed(f"{kind} wants a text, or a list of 1 to {_MOST_CHOICES} texts")
    texts = [entry for entry in entries if isinstance(entry, str)]
    if len(texts) != len(entries):
        raise Malformed(f"{kind} wants texts")
    return texts


def _all_within(fits: Callable[[Any, Any], bool]) -> Callable[[tuple[Any, ...], tuple[Any, ...]], bool]:
    """Lift a relation between two entries to lists: every narrower entry fits some wider one."""
    return lambda narrower, wider: all(any(fits(inner, outer) for outer in wider) for inner in narrower)


def read(written: Mapping[object, object], depth: int = 0) -> Rules:
    """Read the constraints of one value, in a fixed order. Raises Malformed.

    Two that contradict each other are malformed, since a person who writes them means something else.
    """
    values = dict(written)
    if "equals" in values:
        if "one_of" in values:
            raise Malformed("equals and one_of cannot stand together")
        values["one_of"] = [values.pop("equals")]
    if unknown := sorted(str(kind) for kind in values if kind not in KINDS):
        raise Malformed(f"unknown constraint: {', '.join(unknown)}")
    if depth > _DEEPEST_ITEMS:
        raise Malformed("items are nested too deep")
    rules = tuple(
        (kind, _read_items(values[kind], depth) if kind == "items" else KINDS[kind].read(values[kind]))
        for kind in KINDS
        if kind in values
    )
    bounds = dict(rules)
    if "min" in bounds and "max" in bounds and bounds["min"] > bounds["max"]:
        raise Malformed("min is above max")
    return rules


def _read_items(written: object, depth: int = 0) -> Rules:
    if not isinstance(written, Mapping) or not written:
        raise Malformed("items wants an object of constraints")
    return read(written, depth + 1)


def implies(narrower: Rules, wider: Rules) -> bool:
    """Whether a value that meets the narrower rules surely meets the wider ones. In doubt, no."""
    have = dict(narrower)
    for kind, want in wider:
        if kind in have and KINDS[kind].within(have[kind], want):
            continue
        choice = have.get("one_of")
        if choice is None or not all(KINDS[kind].holds(want, value) for value in choice.values):
            return False
    return True


def say(rules: Rules) -> str:
    """Say the rules as the rest of a sentence that begins with the argument's name."""
    return _say_rules(rules)


def _listed(prefix: str, entry: Callable[[Any], str]) -> Callable[[tuple[Any, ...]], str]:
    return lambda entries: f"{prefix} {' or '.join(entry(value) for value in entries)}"


KINDS: Final[dict[str, Kind]] = {
    "one_of": Kind(_read_choice, _one_of, lambda inner, outer: inner.keys <= outer.keys, _say_choice),
    "min": Kind(_read_bound, _at_least, lambda inner, outer: inner >= outer, lambda n: f"is at least {n}"),
    "max": Kind(_read_bound, _at_most, lambda inner, outer: inner <= outer, lambda n: f"is at most {n}"),
    "max_length": Kind(
        _read_count, _short, lambda inner, outer: inner <= outer, lambda n: f"has at most {n} characters"
    ),
    "under": Kind(_read_paths, _under, _all_within(_below), _listed("stays under", _say_path)),
    "domain_in": Kind(_read_domains, _in_domains, _all_within(_matches), _listed("belongs to", str)),
    "host_in": Kind(_read_hosts, _in_hosts, _all_within(_host_within), _listed("points to", _say_host)),
    "max_items": Kind(_read_count, _few, lambda inner, outer: inner <= outer, lambda n: f"has at most {n} items"),
    "items": Kind(_read_items, _every_item, implies, lambda rules: f"has only items of which each {_say_rules(rules)}"),
}
