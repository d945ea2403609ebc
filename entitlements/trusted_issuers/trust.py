"""Actions on issuers whose signed assertions we accept: begin to trust one, and stop."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from http import HTTPStatus
from typing import Any

from django.conf import settings
from django.db import IntegrityError, transaction

from audit import log
from audit.actions import Action
from audit.context import Principal
from entitlements import addresses
from entitlements.errors import DomainError, NotFound
from entitlements.feed import changes, locks, subjects
from entitlements.feed.locks import Lock
from entitlements.keys import public_keys
from entitlements.trusted_issuers.models import TrustedIssuer

from . import issuers, spiffe


class IssuerMalformed(DomainError):
    """An issuer must be an https address without query and fragment, with its keys or an https address for them.

    An issuer of workloads may be a SPIFFE trust domain as well, such as spiffe://example.org.
    """

    code, status = "issuer_malformed", HTTPStatus.UNPROCESSABLE_ENTITY


class IssuerTaken(DomainError):
    """The issuer is already trusted for one purpose, and it cannot have two."""

    code, status = "issuer_taken", HTTPStatus.CONFLICT


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

    Plain http is for the demo alone. Raises IssuerMalformed, IssuerTaken, publickeys.BadKey and PrivateKeyGiven.
    """
    signers = tuple(algorithms) or issuers.USUAL
    if jwks and not spiffe.key_set(issuer, jwks, signers):
        raise public_keys.BadKey(f"The key set holds no key for {', '.join(signers)}.")
    is_named = _is_address(issuer) or (purpose == TrustedIssuer.Purpose.WORKLOAD and spiffe.is_trust_domain(issuer))
    if purpose not in TrustedIssuer.Purpose.values or not is_named or not (jwks or _is_address(jwks_uri)):
        raise IssuerMalformed(issuer=issuer)
    try:
        with transaction.atomic():
            row = TrustedIssuer.objects.create(
                issuer=issuer,
                purpose=purpose,
                jwks_uri=jwks_uri,
                jwks=dict(jwks) if jwks else None,
                algorithms=list(algorithms),
                strict_single_use=strict_single_use,
            )
    except IntegrityError as error:
        raise IssuerTaken(issuer=issuer) from error
    detail = {"purpose": purpose, "jwks_uri": jwks_uri, "pinned": jwks is not None, "algorithms": list(algorithms)}
    _note(row)
    log.record(Action.ISSUER_TRUSTED, about=[f"issuer:{issuer}"], by=by, detail=detail)
    return row


@transaction.atomic
def end(issuer: TrustedIssuer, *, by: Principal, reason: str) -> TrustedIssuer:
    """Accept nothing from this issuer any more. Twice changes and records nothing. Raises NotFound."""
    locks.exclusive((Lock.TRUSTED_ISSUER, issuer.pk))
    locked = TrustedIssuer.objects.filter(pk=issuer.pk).first()
    if locked is None:
        raise NotFound
    if locked.enabled:
        locked.enabled = False
        locked.save(update_fields=["enabled"])
        log.record(Action.ISSUER_DISTRUSTED, about=[f"issuer:{locked.issuer}"], by=by, reason=reason)
        _note(locked)
    return locked


def _note(issuer: TrustedIssuer) -> None:
    """Tell the nodes; no other transaction can hold the lock of a new issuer yet."""
    locks.exclusive((Lock.TRUSTED_ISSUER, issuer.pk))
    changes.note(subjects.trusted_issuer(issuer.pk))


def _is_address(text: str) -> bool:
    parts = addresses.parts(text)
    if parts is None or parts.username or parts.query or parts.fragment:
        return False
    return parts.scheme in ({"https", "http"} if settings.DEMO else {"https"}) and bool(parts.hostname)
