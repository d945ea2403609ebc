"""Attempts to prove who one is with something that can be guessed: how long the next one waits, and after what.

Nothing here locks a person out: failures only set how far apart later attempts are.

* A *known device* signed in as this person before. It has ten failures of its own, whatever strangers do.
* Any other attempt with a password waits longer with each failure of that login from that source: 2 s after the fifth,
  a minute at most. No failure of a login elsewhere, and up to `MANY` of other logins here, makes it wait. A source that
  fails often waits a second, five at most, between attempts with logins that fail there; beyond `MANY` times as often
  with any login, since hashing a password is work.
* A code of a second factor has six digits, so the attempts of all unknown devices with one person's share one wait.

A login that does not exist counts as one that does, so no answer says whether it exists. An attempt that is refused
counts as none: it makes the wait of no one longer. Counts are in Redis and end fifteen minutes after the first of them;
while Redis is away each process counts for itself, each failure as four.
"""

from __future__ import annotations

import hashlib
import math
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, Protocol

import redis
from django.conf import settings

from entitlements import ratelimits

WINDOW: Final = 15 * 60
"""Seconds after which failures are forgotten, counted from the first."""
FREE: Final = 5
"""The failure after which attempts with one login from one source begin to wait."""
LONGEST: Final = 60
"""Seconds between two attempts with one login from one source, at most."""
LONGEST_OF_CODES: Final = 300
"""The same for the codes of one person, from anywhere."""
LONGEST_BY_SOURCE: Final = 5
"""Seconds between two attempts of one source, at most."""
OF_A_DEVICE: Final = 10
"""Failures after which a known device counts as an unknown one."""
MANY: Final = 10
"""How many times the failures after which a source is slow make it slow for logins that did not fail there."""
_MOST_KEPT: Final = 10_000


class _Store(Protocol):
    """Counts that end by themselves, and holds: keys that last for a while and are taken once."""

    def read(self, counts: Sequence[str]) -> list[int]: ...

    def hold(self, key: str, seconds: float) -> float:
        """Take a hold and return 0; where another has it, return the seconds that it lasts."""
        ...

    def add(self, counts: Sequence[str], number: int) -> None: ...

    def forget(self, keys: Sequence[str]) -> None: ...


type _Gap = Callable[..., float | None]
"""The seconds that a hold lasts, from the failures of each count; None where the attempt does not ask for it."""


@dataclass(frozen=True, slots=True)
class Attempt:
    """An attempt that was let through. It counts as a failure until `succeeded` is called."""

    own: tuple[str, ...] = ()
    """Counts and holds that end with a success."""
    shared: tuple[str, ...] = ()
    """Counts of which a success takes back this attempt alone."""

    def succeeded(self) -> None:
        """Note that the secret was right."""

        def take_back(store: _Store) -> bool:
            store.forget(self.own)
            store.add(self.shared, -1)
            return True

        if self.own:
            _with_store(take_back)


def admit_password(login: str, source: str, device: str | None) -> Attempt:
    """Count an attempt with a password, from a source as `client_address.counted_as` names it. Raises TooMany."""
    most = settings.RATE_LIMITS["sign_in"]
    if not most:  # the tests' word for none; the environment cannot say it
        return Attempt()
    login = login.lower()
    pair, by_source = _key("pair", login, source), _key("source", source)

    def between_own(of_pair: int, _of_source: int) -> float:
        return rising(of_pair, LONGEST)

    def between_all(of_pair: int, of_source: int) -> float | None:
        often = most if of_pair >= FREE else most * MANY
        return min(LONGEST_BY_SOURCE, of_source // most) if of_source > often else None

    holds = {_key("pair-hold", login, source): between_own, _key("source-hold", source): between_all}
    return _admit(device, (pair,), (by_source,), holds)


def admit_code(login: str, device: str | None) -> Attempt:
    """Count an attempt with a code of a person's second factor. Raises TooMany."""
    if not settings.RATE_LIMITS["sign_in"]:  # as above
        return Attempt()
    holds = {_key("code-hold", login): lambda failures: rising(failures, LONGEST_OF_CODES)}
    return _admit(device and f"code {device}", (_key("code", login),), (), holds)


def rising(failures: int, longest: float) -> float:
    """Return the seconds to wait after so many failures: none before the fifth, then 2, 4, 8 and so on."""
    return min(longest, 2.0 ** min(failures - FREE + 1, 16)) if failures >= FREE else 0


def _admit(device: str | None, own: tuple[str, ...], shared: tuple[str, ...], holds: Mapping[str, _Gap]) -> Attempt:
    if device is not None:
        of_device = _key("device", device)
        if _with_store(lambda store: _within(store, of_device)):
            return Attempt(own=(of_device,))

    def admit(store: _Store) -> Attempt:
        failures = [known + 1 for known in store.read([*own, *shared])]  # this one is a failure until it succeeds
        taken: list[str] = []
        for key, gap in holds.items():
            if (seconds := gap(*failures)) is None:
                continue
            if wait := store.hold(key, seconds):
                store.forget(taken)
                raise ratelimits.TooMany(math.ceil(wait))
            taken.append(key)
        store.add([*own, *shared], 1)
        return Attempt((*own, *taken), shared)

    return _with_store(admit)


def _within(store: _Store, of_device: str) -> bool:
    if store.read([of_device])[0] >= OF_A_DEVICE:
        return False
    store.add([of_device], 1)
    return True


def _key(kind: str, *parts: str) -> str:
    """Return a key of bounded length that shows neither a login nor an address."""
    text = "\0".join(parts).encode("utf-8", "surrogatepass")
    return f"attempts:{kind}:{hashlib.blake2b(text, digest_size=16).hexdigest()}"


def _with_store[T](ask: Callable[[_Store], T]) -> T:
    answer = ratelimits.shared(lambda server: ask(_RedisStore(server)))
    return ask(_own) if answer is None else answer


class _RedisStore:
    """The store of all processes, in Redis."""

    def __init__(self, server: redis.Redis) -> None:
        self._server = server

    def read(self, counts: Sequence[str]) -> list[int]:
        values: list[Any] = self._server.mget(counts)
        return [int(value or 0) for value in values]

    def hold(self, key: str, seconds: float) -> float:
        if seconds and self._server.set(key, 1, nx=True, px=int(seconds * 1000)):
            return 0
        left: Any = self._server.pttl(key)
        return max(0, int(left)) / 1000

    def add(self, counts: Sequence[str], number: int) -> None:
        with self._server.pipeline(transaction=False) as pipeline:
            for key in counts:
                pipeline.set(key, 0, nx=True, ex=WINDOW)
                pipeline.incrby(key, number)
            pipeline.execute()

    def forget(self, keys: Sequence[str]) -> None:
        if keys:
            self._server.delete(*keys)


class _ProcessStore:
    """The store of this process alone. Asked about too many at once it counts the rest together."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._values: dict[str, tuple[int, float]] = {}

    def read(self, counts: Sequence[str]) -> list[int]:
        with self._lock:
            return [self._get(self._place(key))[0] for key in counts]

    def hold(self, key: str, seconds: float) -> float:
        with self._lock:
            place, now = self._place(key), time.monotonic()
            if (until := self._get(place)[1]) > now:
                return until - now
            if seconds:
                self._values[place] = (1, now + seconds)
            return 0

    def add(self, counts: Sequence[str], number: int) -> None:
        with self._lock:
            for place in map(self._place, counts):
                known, until = self._get(place)
                self._values[place] = (
                    max(0, known + number * ratelimits.STRICTER),
                    until or time.monotonic() + WINDOW,
                )

    def forget(self, keys: Sequence[str]) -> None:
        with self._lock:
            for key in keys:
                self._values.pop(key, None)

    def _get(self, place: str) -> tuple[int, float]:
        value, until = self._values.get(place, (0, 0.0))
        return (value, until) if until > time.monotonic() else (0, 0.0)

    def _place(self, key: str) -> str:
        if key in self._values or len(self._values) < _MOST_KEPT:
            return key
        now = time.monotonic()
        self._values = {name: kept for name, kept in self._values.items() if kept[1] > now}
        return key if len(self._values) < _MOST_KEPT else key.rpartition(":")[0]


_own: Final = _ProcessStore()
