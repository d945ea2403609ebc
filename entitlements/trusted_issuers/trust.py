"""Actions on issuers whose signed assertions we accept: put terms in force, and accept nothing any more.

Two people put terms in force (`proposals.py`). What the set-up has tested, and the demo's own, begins here at once.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from http import HTTPStatus
from typing import Any, Final

from django.conf import settings
from django.db import transaction

from audit import clock, log
from audit.actions import Action
from audit.context import Principal
from entitlements import addresses
from entitlements.errors import DomainError, NotFound
from entitlements.feed import changes, locks, subjects
from entitlements.feed.locks import Lock
from entitlements.hooks import Hook
from entitlements.keys import public_keys
from entitlements.trusted_issuers.models import IssuerProposal, TrustedIssuer
from entitlements.upstream import prefixes

from . import issuers, spiffe, terms

_State = IssuerProposal.State
_LOOPBACK: Final = frozenset({"localhost", "127.0.0.1", "::1"})
_AT_SETUP: Final = "Trusted at the set-up."


ENDING: Final[Hook[[TrustedIssuer], None]] = Hook("end an issuer", "workloads")
"""What dies with an issuer that is about to end, in the same transaction."""


class IssuerMalformed(DomainError):
    """An issuer must be an https address without query and fragment, with its keys or an https address for them.

    An issuer of workloads may be a SPIFFE trust domain as well, such as spiffe://example.org.
    """

    code, status = "issuer_malformed", HTTPStatus.UNPROCESSABLE_ENTITY


class IssuerTaken(DomainError):
    """The issuer is already trusted for one purpose, and it cannot have two."""

    code, status = "issuer_taken", HTTPStatus.CONFLICT


def check(issuer: str, agreed: Mapping[str, Any]) -> None:
    """Check that an issuer can be trusted on these terms. Plain http and this machine are for the demo alone.

    Raises IssuerMalformed, IssuerTermsRefused, public_keys.BadKey and PrivateKeyGiven.
    """
    signers, jwks = tuple(agreed["algorithms"]) or issuers.USUAL, agreed["jwks"]
    if jwks and not spiffe.key_set(issuer, jwks, signers):
        raise public_keys.BadKey(f"The key set holds no key for {', '.join(signers)}.")
    has_keys = bool(jwks) or _is_address(agreed["jwks_uri"], with_query=True)
    is_workloads = agreed["purpose"] == TrustedIssuer.Purpose.WORKLOAD
    is_named = _is_address(issuer) or (is_workloads and spiffe.is_trust_domain(issuer))
    is_ours = issuer == addresses.issuer(addresses.IDP) or issuer.startswith(addresses.issuer("as/"))
    if agreed["purpose"] not in TrustedIssuer.Purpose.values or not is_named or is_ours or not has_keys:
        raise IssuerMalformed(issuer=issuer)
    terms.check(agreed)


@transaction.atomic
def begin(
    issuer: str,
    *,
    purpose: str,
    jwks_uri: str = "",
    jwks: Mapping[str, Any] | None = None,
    algorithms: Sequence[str] = (),
    strict_single_use: bool = True,
    by: Principal,
) -> TrustedIssuer:
    """Accept what this issuer signs, for one purpose; its name is compared byte by byte. Keys are pinned or fetched.

    Raises as `check`, and IssuerTaken.
    """
    agreed = {
        **terms.USUAL,
        "purpose": purpose,
        "jwks_uri": jwks_uri,
        "jwks": dict(jwks) if jwks else None,
        "algorithms": list(algorithms),
        "strict_single_use": strict_single_use,
        "sends_signals": purpose == TrustedIssuer.Purpose.SIGNALS,
    }
    check(issuer, agreed)
    locks.exclusive((Lock.REQUEST, lock_name(issuer)))
    if TrustedIssuer.objects.filter(issuer=issuer).exists():
        raise IssuerTaken(issuer=issuer)
    row = put_in_force(issuer, agreed, by=by, reason="")
    now = clock.now()
    IssuerProposal.objects.create(
        issuer=issuer, terms=agreed, reason=_AT_SETUP, state=_State.IN_FORCE, proposed_at=now, confirmed_at=now
    )
    return row


def put_in_force(issuer: str, agreed: Mapping[str, Any], *, by: Principal, reason: str) -> TrustedIssuer:
    """Write the terms, tell the nodes, and record it. The caller holds the lock of the issuer's name.

    An issuer that ended is trusted again, with the people who were linked to it. Raises IssuerTaken for another
    purpose than it has or had: the people would be others.
    """
    row = TrustedIssuer.objects.filter(issuer=issuer).first()
    if row is not None and row.purpose != agreed["purpose"]:
        raise IssuerTaken(issuer=issuer)
    was_trusted = row is not None and row.enabled
    row = row or TrustedIssuer(issuer=issuer)
    if row.pk is not None:
        locks.exclusive((Lock.TRUSTED_ISSUER, row.pk))
    for name in TrustedIssuer.TERMS:
        setattr(row, name, agreed[name])
    row.enabled = True
    row.save()
    _note(row)
    action = Action.ISSUER_CHANGED if was_trusted else Action.ISSUER_TRUSTED
    log.record(action, about=[f"issuer:{issuer}"], by=by, reason=reason, detail=shown(agreed))
    return row


@transaction.atomic
def end(issuer: TrustedIssuer, *, by: Principal, reason: str) -> TrustedIssuer:
    """Accept nothing from this issuer any more, and kill what its workloads were issued until now.

    Twice changes and records nothing. Raises NotFound.
    """
    ENDING.ask(issuer)  # first, since the locks of clients come before those of issuers
    locks.exclusive((Lock.TRUSTED_ISSUER, issuer.pk))
    locked = TrustedIssuer.objects.filter(pk=issuer.pk).first()
    if locked is None:
        raise NotFound
    if locked.enabled:
        locked.enabled = False
        locked.save(update_fields=["enabled"])
        over = {"state": _State.ENDED, "ended_at": clock.now(), "end_reason": reason or "Ended."}
        IssuerProposal.objects.filter(issuer=locked.issuer, state=_State.IN_FORCE).update(**over)
        log.record(Action.ISSUER_DISTRUSTED, about=[f"issuer:{locked.issuer}"], by=by, reason=reason)
        _note(locked)
    return locked


def lock_name(issuer: str) -> str:
    """Return under which name the proposals of an issuer are locked."""
    return f"trusted-issuer:{issuer}"


def shown(agreed: Mapping[str, Any]) -> dict[str, Any]:
    """Return the terms as the audit log keeps them: of pinned keys only that they are."""
    return {**{name: agreed[name] for name in TrustedIssuer.TERMS if name != "jwks"}, "pinned": bool(agreed["jwks"])}


def _note(issuer: TrustedIssuer) -> None:
    """Tell the nodes; no other transaction can hold the lock of a new issuer yet."""
    locks.exclusive((Lock.TRUSTED_ISSUER, issuer.pk))
    changes.note(subjects.trusted_issuer(issuer.pk))


def _is_address(text: str, *, with_query: bool = False) -> bool:
    parts = addresses.parts(text)
    if parts is None or parts.username or parts.fragment or not parts.hostname or (parts.query and not with_query):
        return False
    if settings.DEMO:
        return parts.scheme in {"https", "http"}
    return parts.scheme == "https" and (parts.hostname not in _LOOPBACK or _is_reached_here())


def _is_reached_here() -> bool:
    """Whether the operator lets requests reach this machine: then an issuer may stand on it."""
    return prefixes.is_in("127.0.0.1", settings.PRIVATE_NETWORKS)
