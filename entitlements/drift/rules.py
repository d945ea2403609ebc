"""The detectors of drift: each with its version, its numbers and its rule. Pure.

A rule takes what is recorded and returns what is to be said of it, or None. A changed rule or number is the detector's
next version; docs/operate/drift.md holds the formula of each, and what it was measured to find.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from functools import lru_cache
from ipaddress import IPv4Network, IPv6Address, ip_address, ip_network
from types import MappingProxyType
from typing import Any, Final

from audit.bodies import Members
from entitlements.risk.rules import Kind
from entitlements.words import Risk

NETWORK_BITS: Final = {4: 24, 6: 48}
"""What counts as one network: of IPv4 a /24, of IPv6 the prefix of a site (RFC 6177)."""
WINDOW: Final = timedelta(days=28)
"""The history with which an hour and a volume are compared. It ends with the day before."""
CLASS_WINDOW: Final = timedelta(days=90)
LEAST_DAYS, LEAST_CALLS = 10, 100
"""An agent has a history once it was used on so many days of the window, and so often."""
LEAST_IN_HOUR: Final = 50
"""An hour with fewer calls is never much."""
TIMES: Final = 3
"""So many times the busiest hour of the window is too much."""
LONGEST: Final = max(WINDOW, CLASS_WINDOW)
_SHARED: Final = IPv4Network("100.64.0.0/10")
_MOVED: Final = MappingProxyType(
    {"department": "department", "contract_type": "type of contract", "manager": "manager"}
)


@dataclass(frozen=True, slots=True)
class Detector:
    """One detector. Its `kind` is answered as two people agree; a finding of it has the `level`."""

    kind: Kind
    version: int
    level: Risk

    @property
    def name(self) -> str:
        """As the address of the API and the documentation call it."""
        return self.kind.value.replace("_", "-")

    @property
    def source(self) -> str:
        """As its signals name it, with the version."""
        return f"detector:{self.name}@{self.version}"


DETECTORS: Final = tuple(
    Detector(kind, 1, level)
    for kind, level in (
        (Kind.NETWORK_DRIFT, Risk.LOW),
        (Kind.CLIENT_DRIFT, Risk.MEDIUM),
        (Kind.VERSION_DRIFT, Risk.LOW),
        (Kind.PERSON_DRIFT, Risk.LOW),
        (Kind.TOOL_CLASS_DRIFT, Risk.LOW),
        (Kind.HOUR_DRIFT, Risk.LOW),
        (Kind.VOLUME_DRIFT, Risk.MEDIUM),
    )
)
OF_KIND: Final[Mapping[Kind, Detector]] = MappingProxyType({each.kind: each for each in DETECTORS})
NAMED: Final[Mapping[str, Detector]] = MappingProxyType({each.name: each for each in DETECTORS})


@lru_cache(maxsize=4096)
def network_of(source: str) -> tuple[str, str] | None:
    """Return the network and the class of an address; None of what is no address."""
    try:
        address = ip_address(source)
    except ValueError:
        return None
    if isinstance(address, IPv6Address) and address.ipv4_mapped:
        address = address.ipv4_mapped
    network = ip_network((address, NETWORK_BITS[address.version]), strict=False)
    if address.is_loopback:
        return str(network), "loopback"
    if address.is_link_local:
        return str(network), "link-local"
    if address.version == 4 and address in _SHARED:  # noqa: PLR2004 - the version of the protocol
        return str(network), "shared"
    return str(network), "private" if address.is_private else "public"


def digest(session: str, network: str) -> str:
    """Return what is kept of a network that a session came from."""
    return hashlib.sha256(f"{session}\n{network}".encode()).hexdigest()


def of_network(began: str, now: str) -> str:
    """Say that a session comes from another network; `began` and `now` are the classes of the addresses."""
    if began != now:
        return f"The session began at a {began} address, and comes from a {now} one now."
    return "The session comes from another network than the one in which it began."


def of_client(action: str, detail: Mapping[str, Any]) -> str | None:
    """Say that a client has another key or another redirect, by a person or its document.

    A client that rotates its own credential goes on as itself, and a document that changes otherwise is an update.
    """
    changed = Members(detail).texts("changed")
    if action in ("client.keys_replaced", "client.secret_rotated") or "keys" in changed:
        return "The client has another key or secret, which it did not make by itself."
    if "redirect_uris" in changed:
        return "The client sends people to another address."
    return None


def of_version(before: Mapping[str, Any] | None, now: Mapping[str, Any]) -> str | None:
    """Say that an attested version differs from the attested one before, which is None where there is none.

    What is not known of one of both has not changed.
    """
    if before is None:
        return None
    names = {"model": "model", "prompt_sha256": "prompt"}
    changed = [
        word for name, word in names.items() if before.get(name) and now.get(name) and before.get(name) != now.get(name)
    ]
    return f"The agent runs another {' and '.join(changed)} than the one attested before." if changed else None


def of_person(detail: Mapping[str, Any]) -> str | None:
    """Say that a person moved. The first manager or department that is known is no move."""
    changed = {*Members(detail).texts("changed")}
    if not Members(detail).part("manager").get("from"):
        changed.discard("manager")
    moved = [word for name, word in _MOVED.items() if name in changed]
    return f"The person has another {' and '.join(moved)}." if moved else None


@dataclass(frozen=True, slots=True)
class History:
    """What is known of an agent before an hour: on how many days it was used, how often, and its busiest hour."""

    days: int
    calls: int
    busiest: int = 0

    @property
    def is_enough(self) -> bool:
        """Whether the agent was used often enough to have a history."""
        return self.days >= LEAST_DAYS and self.calls >= LEAST_CALLS


def of_tool_class(tool_class: str, history: History, *, used_before: bool) -> str | None:
    """Say that an agent uses a class of tools for the first time; `history` and `used_before` of the class window."""
    if used_before or not history.is_enough:
        return None
    return f"Tools of the class {tool_class} are used for the first time."


def of_hour(hour: int, history: History, *, used_near: bool) -> str | None:
    """Say that an agent works at an hour (UTC) at which it never did, nor an hour earlier or later."""
    if used_near or not history.is_enough:
        return None
    return f"Calls came at {hour:02}:00 UTC, which the agent never worked at on such a day."


def of_volume(calls: int, history: History) -> str | None:
    """Say that an agent called far more within one hour than in any hour of its history."""
    if not history.is_enough or calls < LEAST_IN_HOUR or calls <= TIMES * history.busiest:
        return None
    return f"{calls} calls came within one hour; the busiest hour before had {history.busiest}."
