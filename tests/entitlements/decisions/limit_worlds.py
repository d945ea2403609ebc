"""Limits and arguments: near to each other, and hostile."""

from __future__ import annotations

import random
from collections.abc import Callable
from decimal import Decimal
from typing import Any, Final

NOW: Final = 1_796_040_000.25
NAMES: Final = ("a", "A", "b", "f.a", "f.b", "/f/a", "/a.b", "caf\u00e9", "\uff41", "k", "\u212a", "f", "*", "f.*")
KEYS: Final = ("a", "A", "b", "f", "a.b", "caf\u00e9", "cafe\u0301", "\uff41", "k", "\u212a", "B")

_NUMBERS: Final[tuple[Any, ...]] = (
    *(0, -0.0, 1, 1.0, True, 0.1, Decimal("0.1"), 0.30000000000000004, 2**53, 2**53 + 1, float(2**53), -1, 10**400),
    *(1e308, float("inf"), float("-inf"), float("nan"), Decimal("1e400"), Decimal("NaN"), Decimal("-0"), 5e-324),
)
_TEXTS: Final = (
    *("", "a", "ab", "abc", "A", "caf\u00e9", "cafe\u0301", "\u0430", chr(0xD800), "\U0001f600", "1", "true", "null"),
    *("\u200ba", "a\u0000", "\u212b", "\u00c5", "\ufb01", "\u1e9e"),
)
_PATHS: Final = (
    *("/srv", "/srv/a", "/srv/a/b.txt", "/srv/./a", "/srv//a", "/srv/../a", "srv/a", ".", "", "/", "//", "~/a", "C:/a"),
    *("/srv/%2e%2e/a", "/srv/a%2fb", "/srv\\a", "/srv/a\x00", "/srv/ .. /a", "/srv/...", "/srv/a;b", "/srv/a?b#c"),
    *("/srv/\uff0e\uff0e/a", "/srv/a\uff0fb", "/srv/\u2025", "/SRV/a", "/srv2", "/srv/%c0%ae", "/srv/%C3%A9", "/srv/%"),
    *("https://a.example/srv/a", "http://a.example/srv?x=/..", "https://a.example", "/srv/%252e", "/srv/%EF%BC%8F"),
)
_HOSTS: Final = (
    *("a.example", "*.example", "*.a.example", "A.example", "a.example:8443", "http://a.example", "http://127.0.0.1"),
    *("http://[::1]", "http://[::ffff:127.0.0.1]", "b\u00fccher.example", "xn--bcher-kva.example", "127.1", "0x7f.1"),
    *("https://a.example:443", "a.example.", "*", "ftp://a.example", "*.1", "http://[fe80::1%25a]", "a\u3002example"),
)
_URLS: Final = (
    *(
        "https://a.example/",
        "https://b.a.example/x?y#z",
        "https://A.EXAMPLE",
        "http://a.example/",
        "https://a.example:443",
    ),
    *(
        "https://a.example:8443/",
        "https://a.example./",
        "https://u@a.example/",
        "https://a.example@evil/",
        "//a.example",
    ),
    *("https://a.example?x@y", "https://a.example#@evil/", "https://a.example?x/@y", "https:///a.example", "https:a"),
    *("http://127.0.0.1/", "http://127.1/", "http://2130706433", "http://0x7f000001/", "http://0177.0.0.1/"),
    *("http://[::1]/", "http://[0:0::1]:80/", "http://[::ffff:7f00:1]/", "http://[::1%25eth0]/", "http://[1::2::3]/"),
    *(
        "https://b\u00fccher.example/",
        "https://B\u00dcCHER.example/",
        "https://stra\u00dfe.example/",
        "https://a\u3002example",
    ),
    *("https://xn--bcher-kva.example", "https://a.example\\@evil/", "https://a.example /", "https://a.example:0/"),
    *("https://a.example:00443/", "https://a.example:99999/", "HTTPS://a.example/", "https://\uff41.example/"),
)
_DOMAINS: Final = (
    *("x.example", "*.x.example", "ana@x.example", "ana@y.x.example", "X.example", "ana@X.EXAMPLE", "a@b@x.example"),
    *("x.example.", "-x.example", "ana@", "@x.example", "a..b@x.example", "\u0430na@x.example", "x" * 64 + ".example"),
    *("ana+tag@x.example", '"a"@x.example', "*.x.example.", "*", "ana@x.example\n", "ana@[127.0.0.1]"),
)
_MOMENTS: Final = (
    *("2026-11-30", "2026-12-01", "2026-11-29", "2026-11-30T12:00:00Z", "2026-11-30T13:00:00+01:00", "2026-12-30"),
    *("2026-11-30T12:00:00.25Z", "2026-11-30T12:00:00.2500000001Z", "2026-11-30T12:00:00.250000001Z", "2026-10-31"),
    *("2026-11-30T12:00:00", "2026-11-30 12:00:00Z", "2026-11-30t12:00:00z", "2026-11-30T24:00:00Z", "2026-02-30"),
    *("2026-11-30T23:59:60Z", "0000-01-01", "0001-01-01T00:00:00+23:59", "9999-12-31T23:59:59-23:59", "2026-1-1"),
    *("2026-11-30T00:00:00Z", "2026-12-01T00:00:00Z", "2026-11-30T23:00:00-02:00", "2026-12-01T00:30:00+01:00"),
    *("2026-11-30T12:00:00-00:00", "2026-11-30T12:00Z", "20261130", "2026-W49-1", "\u0662026-11-30", "2026-11-30Z"),
)
_WINDOWS: Final = (
    "P30D",
    "P1D",
    "-P1D",
    "+P1D",
    "PT12H",
    "P1W",
    "P1DT1H1M1S",
    "PT0S",
    "P",
    "P1M",
    "P1DT",
    "PT1S",
    "p1d",
)
_DAMAGE: Final = "./\\%:@;?#~* \t\n\x00\u0301\u200b\uff0e\uff0f\u0430AZ09-_[]"

type Rules = dict[str, Any]


def case(pick: random.Random) -> tuple[dict[str, Any], dict[str, Any]]:
    """Return limits and arguments."""
    names = pick.sample(NAMES, pick.choice((1, 1, 1, 2, 3)))
    limits = {name: _limit(pick, name) for name in names}
    wanted: dict[str, Any] = {}
    for name, limit in limits.items():
        if pick.random() < 0.93:
            _put(wanted, name, _value(pick, limit))
    for _ in range(pick.choice((0, 0, 0, 0, 1, 2))):
        wanted[pick.choice(KEYS)] = _anything(pick, 0)
    return limits, wanted


def _limit(pick: random.Random, name: str) -> Any:  # noqa: ANN401 - also what is none
    if name.endswith("*") and pick.random() < 0.95:
        return {"absent": True}
    if pick.random() < 0.01:
        return pick.choice(
            [{}, None, "x", {"absent": False}, {"optional": 1}, {"regex": "."}, {"equals": 1, "one_of": [1]}]
        )
    if pick.random() < 0.06:
        return {pick.choice(("absent", "required", "optional")): True}
    rules = _rules(pick, 0)
    if pick.random() < 0.25:
        rules[pick.choice(("optional", "optional", "required", "absent"))] = True
    return rules


def _rules(pick: random.Random, depth: int) -> Rules:
    family = pick.choice(tuple(FAMILIES))
    kinds = pick.sample(FAMILIES[family], min(len(FAMILIES[family]), pick.choice((1, 1, 1, 2))))
    return {kind: _parameter(pick, kind, depth) for kind in kinds}


FAMILIES: Final[dict[str, tuple[str, ...]]] = {
    "choice": ("one_of", "equals"),
    "number": ("min", "max"),
    "length": ("min_length", "max_length"),
    "file": ("under",),
    "path": ("path_prefix",),
    "address": ("host_in", "path_prefix"),
    "host": ("host_in",),
    "domain": ("domain_in",),
    "date": ("after", "before"),
    "window": ("within", "after"),
    "list": ("subset", "min_items", "max_items"),
    "items": ("items", "max_items"),
}
_POOLS: Final[dict[str, tuple[Any, ...]]] = {
    **dict.fromkeys(("min", "max"), _NUMBERS),
    **dict.fromkeys(("under", "path_prefix"), _PATHS),
    **dict.fromkeys(("after", "before"), _MOMENTS),
    "host_in": _HOSTS,
    "domain_in": _DOMAINS,
    "within": _WINDOWS,
}
_GOOD: Final[dict[str, tuple[Any, ...]]] = {
    "under": ("/srv", "/", "/srv/a", "srv", "."),
    "path_prefix": ("/srv", "/", "/srv/a"),
    "host_in": _HOSTS[:9],
    "domain_in": _DOMAINS[:2],
    "after": ("2026-11-29", "2026-11-30T12:00:00Z", "2026-01-01"),
    "before": ("2026-12-02", "2026-12-01T00:00:00Z", "2027-01-01"),
    "within": _WINDOWS[:7],
    "min": (0, 1, 0.1, -1),
    "max": (1, 2**53, 0.1, Decimal("0.30000000000000004")),
}
_VALUES: Final[dict[str, tuple[Any, ...]]] = {
    **_POOLS,
    **dict.fromkeys(("one_of", "equals", "min_length", "max_length"), _TEXTS),
    "host_in": _URLS,
    "within": _MOMENTS,
}


def _parameter(pick: random.Random, kind: str, depth: int) -> Any:  # noqa: ANN401 - of its kind
    if kind in ("one_of", "subset"):
        return [pick.choice((*_TEXTS, *_NUMBERS, None, True)) for _ in range(pick.choice((1, 2, 5)))]
    if kind == "equals":
        return pick.choice((*_TEXTS, *_NUMBERS, None, True))
    if kind in ("min_length", "max_length", "min_items", "max_items"):
        return pick.choice((0, 1, 1, 2, 2, 3, 3, -1, True, 1.0) if pick.random() < 0.2 else (0, 1, 2, 3))
    if kind == "items":
        return _rules(pick, depth + 1) if depth < 6 else {"max": 1}
    is_good = kind in _GOOD and pick.random() < 0.9
    pool = _GOOD[kind] if is_good else _POOLS[kind]
    if kind in ("under", "path_prefix", "host_in", "domain_in") and pick.random() < 0.4:
        return [pick.choice(pool) for _ in range(pick.choice((1, 2, 3)))]
    chosen = pick.choice(pool)
    return _damaged(pick, chosen) if isinstance(chosen, str) and pick.random() < 0.05 else chosen


def _value(pick: random.Random, limit: object) -> Any:  # noqa: ANN401 - any JSON
    """Return a value that may well meet a limit."""
    if not isinstance(limit, dict) or not limit or pick.random() < 0.06:
        return _anything(pick, 0)
    kind = next((each for each in limit if each not in ("required", "optional", "absent")), "")
    want = limit.get(kind)
    if kind in ("one_of", "equals"):
        chosen = pick.choice(want) if kind == "one_of" and isinstance(want, list) and want else want
        return _damaged(pick, chosen) if isinstance(chosen, str) and pick.random() < 0.3 else chosen
    if kind in ("subset", "items", "min_items", "max_items"):
        return [_item(pick, limit) for _ in range(pick.choice((0, 1, 2, 3)))]
    if kind not in _VALUES:
        return _anything(pick, 0)
    chosen = pick.choice(_VALUES[kind])
    if isinstance(chosen, str) and isinstance(want, str) and kind in ("under", "path_prefix") and pick.random() < 0.4:
        chosen = want + pick.choice(("", "/", "/a", "a", "/../a", "/%41", "/a/./b"))
    return _damaged(pick, chosen) if isinstance(chosen, str) and pick.random() < 0.25 else chosen


def _item(pick: random.Random, limit: Rules) -> Any:  # noqa: ANN401 - any JSON
    if isinstance(limit.get("subset"), list) and pick.random() < 0.9:
        return pick.choice(limit["subset"])
    return _value(pick, limit.get("items", {}))


def _damaged(pick: random.Random, chosen: str) -> str:
    """Change a text in one place."""
    at = pick.randrange(len(chosen) + 1)
    change: Callable[[], str] = pick.choice(
        (
            lambda: chosen[:at] + pick.choice(_DAMAGE) + chosen[at:],
            lambda: chosen[:at] + chosen[at + 1 :],
            lambda: chosen[:at] + chosen[at : at + 1].swapcase() + chosen[at + 1 :],
            lambda: chosen[:at] + pick.choice(_DAMAGE) + chosen[at + 1 :],
        )
    )
    return change()


def _anything(pick: random.Random, depth: int) -> Any:  # noqa: ANN401 - any JSON
    sort = pick.randrange(8 if depth < 3 else 5)
    if sort < 2:
        return pick.choice(_TEXTS)
    if sort < 4:
        return pick.choice(_NUMBERS)
    if sort == 4:
        return pick.choice((None, True, False, *_URLS, *_PATHS, *_MOMENTS))
    if sort == 5:
        return [_anything(pick, depth + 1) for _ in range(pick.randrange(3))]
    return {pick.choice(KEYS): _anything(pick, depth + 1) for _ in range(pick.randrange(3))}


def _put(arguments: dict[str, Any], name: str, value: object) -> None:
    """Put a value where a name points to."""
    steps = name[1:].split("/") if name.startswith("/") else name.split(".")
    for step in steps[:-1]:
        if not isinstance(arguments.setdefault(step, {}), dict):
            return
        arguments = arguments[step]
    arguments[steps[-1]] = value
