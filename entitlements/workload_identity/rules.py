"""Which rule a workload's token fits, by what its issuer signed. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any
from uuid import UUID

from entitlements.errors import DomainError
from entitlements.keys import jws

from . import platforms
from .platforms import Platform


class Ambiguous(DomainError):
    """Two workload rules describe this workload. End one of them, or make one narrower."""

    code, status = "workload_ambiguous", HTTPStatus.FORBIDDEN

    def __init__(self, fitting: Iterable[Rule]) -> None:
        super().__init__()
        self.rules = tuple(fitting)


@dataclass(frozen=True, slots=True)
class Rule:
    """Tokens of an issuer with these claims are for this client. An ended rule is kept to say so."""

    pk: UUID
    client: str
    agent: str
    platform: Platform
    claims: Mapping[str, str]
    is_ended: bool = False


def fits(rule: Rule, claims: Mapping[str, Any]) -> bool:
    """Say whether each claim that a rule names is in a token as the rule says. A rule that names none fits nothing."""
    return bool(rule.claims) and all(_is(text, platforms.value(claims, name)) for name, text in rule.claims.items())


def choose(rules: Iterable[Rule], claims: Mapping[str, Any]) -> Rule | None:
    """Return the one rule that a token fits; an ended one only where no other fits. Raises Ambiguous."""
    fitting = [rule for rule in rules if fits(rule, claims)]
    if len(active := [rule for rule in fitting if not rule.is_ended]) > 1:
        raise Ambiguous(active)
    return next(iter(active or fitting), None)


def covers(one: Rule, other: Rule) -> bool:
    """Say whether each token that fits the other rule fits this one: the other would never be the only one."""
    return all(name in other.claims and _is_within(other.claims[name], text) for name, text in one.claims.items())


def overlap(one: Rule, other: Rule) -> bool:
    """Say whether a token could fit both rules: of each claim that both name, one value lies in the other."""
    both = one.claims.keys() & other.claims.keys()
    return all(
        _is_within(one.claims[name], other.claims[name]) or _is_within(other.claims[name], one.claims[name])
        for name in both
    )


def check_times(platform: Platform, claims: Mapping[str, Any], now: float, leeway: float) -> float:
    """Check when a token was issued and when it ends (epoch seconds, returned). Raises jws.BadToken.

    A JWT-SVID need not say when it was issued (JWT-SVID section 3): what is left of its life is bounded then.
    """
    longest = platforms.SHAPES[platform].longest
    if platform is Platform.SPIFFE and claims.get("iat") is None:
        ends = jws.moment(claims, "exp") or 0.0
        claims = {**claims, "iat": min(now, ends - 1)} if ends > 1 else claims
    return jws.check_times(claims, now, leeway=leeway, longest=longest)


def _is(wanted: str, found: str | None) -> bool:
    if found is None:
        return False
    begins = wanted.removesuffix("*")
    return found == wanted if begins == wanted else found.startswith(begins) and len(found) > len(begins)


def _is_within(one: str, other: str) -> bool:
    """Say whether each text that one value stands for is one that the other stands for."""
    return one == other or (other.endswith("*") and one.startswith(other.removesuffix("*")))
