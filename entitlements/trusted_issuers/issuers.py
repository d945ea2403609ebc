"""Issuers that we trust: the allow-list is asked before any key is fetched (EMA-R-2)."""

from __future__ import annotations

import functools
import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from entitlements.decisions.reads import FeedSubject, Reads, Rows
from entitlements.keys import jws

from . import key_sets, spiffe
from .key_sets import Fetch
from .rules import TokenRules

USUAL: Final = (jws.ES256,)
"""What an issuer may sign with when its row does not say."""

_TRUSTED: Final = """
SELECT id, issuer, jwks_uri, jwks::text, algorithms::text, strict_single_use, clients::text, other_audiences::text,
       subject_claim, tenant_claim, tenants::text, contexts::text, signal_audience, signal_events::text
FROM entitlements_trustedissuer
WHERE issuer = %(issuer)s AND enabled AND CASE %(purpose)s WHEN 'id_jag' THEN purpose = 'id_jag' OR issues_id_jags
  WHEN 'signals' THEN sends_signals ELSE purpose = %(purpose)s END
"""
_PERSON: Final = """
SELECT p.id, p.login, p.is_active, p.sign_ins_valid_after, i.id, i.issuer_id
FROM entitlements_identity i JOIN entitlements_person p ON p.id = i.person_id
WHERE i.issuer_id = %s AND i.subject = %s
"""


@dataclass(frozen=True, slots=True)
class ActiveIssuer:
    """An issuer that is trusted at this moment: `jwks` is the text of its pinned key set, None when it is fetched."""

    pk: int
    issuer: str
    jwks_uri: str
    jwks: str | None
    algorithms: tuple[str, ...]
    strict_single_use: bool
    rules: TokenRules
    signal_audience: str = ""
    signal_events: tuple[str, ...] = ()


async def trusted(reads: Reads, issuer: object, purpose: str) -> ActiveIssuer | None:
    """Return the enabled issuer of exactly this name, for this purpose."""
    wanted = {"issuer": issuer, "purpose": str(purpose)}
    rows = await reads.kept(_TRUSTED, wanted, _about) if isinstance(issuer, str) else []
    return _issuer(rows[0]) if rows else None


@functools.lru_cache(maxsize=1000)
def _issuer(row: tuple[Any, ...]) -> ActiveIssuer:
    """Read an issuer's columns; the same ones are read once."""
    pk, name, jwks_uri, jwks, algorithms, is_used_once, clients, others, subject, tenant, tenants, *rest = row
    contexts, signal_audience, signal_events = rest
    rules = TokenRules(
        json.loads(clients),
        frozenset(json.loads(others)),
        subject,
        tenant,
        frozenset(json.loads(tenants)),
        json.loads(contexts),
    )
    signers, events = tuple(json.loads(algorithms)) or USUAL, tuple(json.loads(signal_events))
    return ActiveIssuer(pk, name, jwks_uri, jwks, signers, is_used_once, rules, signal_audience, events)


async def person(
    reads: Reads, issuer: ActiveIssuer, subject: str
) -> tuple[int, str, bool, datetime | None, int] | None:
    """Find the person of an issuer's subject: by both, never by one of them (EMA-R-15).

    Returns key, login, whether they are active, after which moment their sign-ins count, and the key of the link.
    """
    rows = await reads.kept(_PERSON, [issuer.pk, subject], _about_person)
    return (rows[0][0], rows[0][1], rows[0][2], rows[0][3], rows[0][4]) if rows else None


async def check(
    unverified: jws.Unverified, issuer: ActiveIssuer, fetch: Fetch, *, comes_again: bool = True
) -> Mapping[str, Any]:
    """Return the claims if a key of the issuer signed them. Raises BadToken, KeysUnreachable."""
    if issuer.jwks is None:
        read = functools.partial(spiffe.key_set, issuer.issuer)
        keys = await key_sets.fetched(issuer.pk, issuer.jwks_uri, unverified.kid, fetch, read)
    else:
        keys = _pinned(issuer.issuer, issuer.jwks)
    fitting = [key for key in keys if key.algorithm in issuer.algorithms]
    return jws.check(unverified, jws.choose(unverified, fitting), comes_again=comes_again)


def _about(rows: Rows) -> list[FeedSubject]:
    return [("trusted_issuer_id", rows[0][0])]


def _about_person(rows: Rows) -> list[FeedSubject]:
    pk, _, _, _, link, issuer = rows[0]
    return [("person_id", pk), ("identity_link_id", link), ("trusted_issuer_id", issuer)]


@functools.lru_cache(maxsize=1000)
def _pinned(issuer: str, stored: str) -> tuple[jws.Key, ...]:
    """Read a pinned key set; the same text is read once."""
    return spiffe.key_set(issuer, json.loads(stored))
