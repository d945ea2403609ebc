"""Our own keys, one set per issuer: signing, checking, publishing, and a key's life from `next` to gone.

A key is published for two lives of a cached key set before it signs, and until its last token died after it stopped.
The row's state is the authority: each use asks for it, and only the decrypted key is kept in the process. The keys that
seal the names of client sessions (`session_keys.py`) live the same life.
"""

from __future__ import annotations

import functools
import secrets
from collections.abc import Collection, Mapping
from datetime import datetime, timedelta
from http import HTTPStatus
from typing import Any, Final

from cryptography.hazmat.primitives.asymmetric.utils import encode_dss_signature
from django.db import transaction
from django.db.models import BinaryField, Q
from django.db.models.functions import Substr
from joserfc import jwk

from audit import clock, log
from audit.actions import Action
from audit.context import SYSTEM, Principal
from entitlements import addresses
from entitlements.decisions import own_connection
from entitlements.decisions.own_connection import READS
from entitlements.errors import DomainError, NotFound
from entitlements.feed import changes, locks, subjects
from entitlements.feed.locks import Lock
from entitlements.keys.models import SigningKey
from entitlements.secrets import seal
from entitlements.secrets.seal import RootKey
from entitlements.signers import signers
from entitlements.signers.signer import NewKey
from entitlements.signers.signers import OwnKey

from . import chosen, in_use, jws, session_keys
from . import public_keys as public_keys_actions

JWKS_SECONDS: Final = 300
"""How long others may cache a key set."""
LEAD: Final = timedelta(seconds=2 * JWKS_SECONDS)
TAIL: Final = timedelta(seconds=JWKS_SECONDS + 300)
"""The longest token and one cache: so long a retired key stays published."""
ROTATE_AFTER: Final = timedelta(days=30)


class AlreadyWithdrawn(DomainError):
    """The key was already withdrawn."""

    code, status = "key_already_withdrawn", HTTPStatus.CONFLICT


class SinceInFuture(DomainError):
    """A key cannot be compromised since a time in the future. Give an earlier time, or none."""

    code, status = "compromised_since_in_future", HTTPStatus.UNPROCESSABLE_ENTITY


def sign(issuer_path: str, claims: Mapping[str, Any], typ: str, algorithm: str = "") -> str:
    """Do as `in_use.sign` on Django's own connection; the key is made on first use, within a transaction.

    Without an algorithm it is the issuer's usual one. Raises SignerUnreachable.
    """
    algorithm = algorithm or chosen.usual(issuer_path)
    try:
        return own_connection.run(in_use.sign(READS, issuer_path, claims, typ, algorithm))
    except in_use.KeyMissing:
        ensure(issuer_path, algorithm)
        return own_connection.run(in_use.sign(READS, issuer_path, claims, typ, algorithm))


def active_kid(issuer_path: str) -> str:
    """Name the key that signs for an issuer now; made on first use, within a transaction."""
    return ensure(issuer_path).kid


def sign_bytes(kid: str, data: bytes) -> bytes:
    """Sign bytes that are no token with the key of that name: ECDSA P-256, SHA-256, in DER, as openssl reads it.

    Raises SignerUnreachable.
    """
    key = own_key(kid)
    if key.algorithm != jws.ES256:
        raise public_keys_actions.BadKey("The key is for another algorithm.")
    both = signers.sign_here(key, data)
    middle = len(both) // 2
    return encode_dss_signature(int.from_bytes(both[:middle]), int.from_bytes(both[middle:]))


def own_key(kid: str) -> OwnKey:
    """Open the key of that name to sign with. Raises SealBroken."""
    row = SigningKey.objects.values_list("algorithm", "signer", "sealed_private").get(kid=kid)
    return in_use.private(kid, row[0], row[1], bytes(row[2]))


def public_pem(kid: str) -> bytes:
    """Return the public half of a key in PEM, for a verifier outside Mandate."""
    return pem(SigningKey.objects.values_list("public", flat=True).get(kid=kid))


def pem(public: Mapping[str, Any]) -> bytes:
    """Return the public half of a key, kept as a JSON Web Key, in PEM."""
    key = jwk.import_key({**public})
    assert isinstance(key, jwk.ECKey | jwk.RSAKey | jwk.OKPKey)  # noqa: S101 - for the type checker
    return key.as_pem(private=False)


def verify(token: str, issuer_path: str, typ: str) -> Mapping[str, Any]:
    """Do as `in_use.verify` on Django's own connection."""
    return own_connection.run(in_use.verify(READS, token, issuer_path, typ))


def jwks(issuer_path: str) -> dict[str, Any]:
    """Do as `in_use.jwks` on Django's own connection."""
    return own_connection.run(in_use.jwks(READS, issuer_path))


def check_keys() -> None:
    """See that the key-encryption key opens our signing keys, by one of them. Raises SealBroken."""
    row = SigningKey.objects.filter(state=SigningKey.State.ACTIVE).first()
    if row is not None:
        seal.unseal(bytes(row.sealed_private), in_use.place(row.kid), _root_key(row.issuer))


@transaction.atomic
def ensure(issuer_path: str, algorithm: str = "") -> SigningKey:
    """Return the issuer's active key of an algorithm, the usual one when none is named; make it when there is none yet.

    Raises SignerUnreachable.
    """
    algorithm = algorithm or chosen.usual(issuer_path)
    active = _active(issuer_path, algorithm)
    if active is None:
        locks.exclusive((Lock.KEY, issuer_path))
        active = _active(issuer_path, algorithm) or _make(issuer_path, algorithm, SigningKey.State.ACTIVE, by=SYSTEM)
    return active


@transaction.atomic
def switch(slug: str, algorithm: str, *, has_issuer: bool = True, by: Principal) -> None:
    """Sign what is for a system with another algorithm from now on, which its row says already.

    The identity issuer gets a key of this one for its ID-JAGs. With `has_issuer` we sign its access tokens as well, and
    its issuer's keys of other algorithms are retired. Raises SignerUnreachable.
    """
    issuer_path = addresses.issuer_path(slug)
    locks.exclusive((Lock.KEY, issuer_path), (Lock.KEY, addresses.IDP))
    ensure(addresses.IDP, algorithm)
    if has_issuer:
        ensure(issuer_path, algorithm)
        _retire_others(issuer_path, (algorithm,), by=by)


@transaction.atomic
def retire_unused(issuer_path: str) -> None:
    """Retire an issuer's keys of algorithms that no system is set to any more: for the sweep."""
    locks.exclusive((Lock.KEY, issuer_path))
    _retire_others(issuer_path, chosen.algorithms(issuer_path), by=SYSTEM)


@transaction.atomic
def rotate(issuer_path: str, *, by: Principal, now: bool = False, algorithm: str = "") -> SigningKey:
    """Take the next step in the life of the issuer's key of an algorithm, the usual one when none is named.

    Publishes a next key, or puts it in use once it has been published long enough; returns the key that is or will be
    in use. `now` does not wait: for a key that may have leaked; verifiers that cached the key set will then refuse
    tokens until they fetch it again. Raises SignerUnreachable.
    """
    algorithm = algorithm or chosen.usual(issuer_path)
    locks.exclusive((Lock.KEY, issuer_path))
    following = _next(issuer_path, algorithm)
    if following is None:
        following = _make(issuer_path, algorithm, SigningKey.State.NEXT, by=by)
    if now or following.activates_at <= clock.now():
        _activate(following, by=by)
    return following


def rotate_due(issuer_path: str, algorithm: str = "") -> SigningKey | None:
    """Do what is due for an issuer and an algorithm, and nothing else: for the sweep.

    Returns the key it made or put in use. Raises SignerUnreachable.
    """
    algorithm = algorithm or chosen.usual(issuer_path)
    active, following = ensure(issuer_path, algorithm), _next(issuer_path, algorithm)
    at = clock.now()
    if following.activates_at <= at if following else active.activates_at + ROTATE_AFTER <= at:
        return rotate(issuer_path, by=SYSTEM, algorithm=algorithm)
    return None


@transaction.atomic
def withdraw(kid: str, *, by: Principal, reason: str, since: datetime | None = None) -> SigningKey:
    """Deny a key at once: its tokens no longer count, and another key signs from now on.

    Of what is kept (receipts, evidence), what it signed from `since` on is in doubt; without `since`, all of it. Its
    private half is forgotten, at a signer outside once this is committed. Raises NotFound, AlreadyWithdrawn,
    SinceInFuture, and SignerUnreachable where no other key can be made: withdraw again when it can.
    """
    now = clock.now()
    if since is not None and since > now:
        raise SinceInFuture
    issuer_path = SigningKey.objects.filter(kid=kid).values_list("issuer", flat=True).first()
    if issuer_path is None:
        raise NotFound
    locks.exclusive((Lock.KEY, issuer_path))
    key = SigningKey.objects.get(kid=kid)
    if key.state == SigningKey.State.WITHDRAWN:
        raise AlreadyWithdrawn
    was = key.state
    _destroy_after(key)
    key.state, key.sealed_private = SigningKey.State.WITHDRAWN, b""
    key.withdrawn_at, key.compromised_since = now, since or key.created_at
    key.save(update_fields=["state", "sealed_private", "withdrawn_at", "compromised_since"])
    detail = {"was": was, "compromised_since": key.compromised_since.isoformat()}
    log.record(Action.KEY_WITHDRAWN, about=_about(key), by=by, reason=reason, detail=detail)
    changes.note(subjects.signing_key(kid, issuer_path))
    if was == SigningKey.State.ACTIVE:
        rotate(issuer_path, by=by, now=True, algorithm=key.algorithm)
    return key


@transaction.atomic
def reseal(most: int) -> int:
    """Seal up to `most` private keys again that lie under another key-encryption key; returns how many."""
    begins = Substr("sealed_private", 1, seal.BEGINNING, output_field=BinaryField())
    of_sessions = Q(issuer=session_keys.ISSUER)
    is_current = of_sessions & Q(begins=seal.beginning()) | ~of_sessions & Q(begins=seal.beginning(RootKey.SIGNING))
    others = SigningKey.objects.exclude(sealed_private=b"").annotate(begins=begins).exclude(is_current)
    rows = others.order_by("pk").select_for_update()[:most]
    for row in rows:
        row.sealed_private = seal.reseal(bytes(row.sealed_private), in_use.place(row.kid), _root_key(row.issuer))
        row.save(update_fields=["sealed_private"])
    return len(rows)


def _root_key(issuer_path: str) -> RootKey:
    """Say under which key-encryption key a key lies: every gateway opens those of sessions, and no other."""
    return session_keys.SEALING.get(issuer_path, RootKey.SIGNING)


def _activate(key: SigningKey, *, by: Principal) -> None:
    moment = clock.now()
    active = SigningKey.objects.filter(issuer=key.issuer, algorithm=key.algorithm, state=SigningKey.State.ACTIVE)
    retiring = list(active.values_list("kid", flat=True))
    tail = session_keys.TAIL if key.issuer in session_keys.SEALING else TAIL
    active.update(state=SigningKey.State.RETIRED, retires_at=moment + tail)
    key.state, key.activates_at = SigningKey.State.ACTIVE, moment
    key.save(update_fields=["state", "activates_at"])
    log.record(Action.KEY_ACTIVATED, about=_about(key), by=by)
    for kid in [key.kid, *retiring]:
        changes.note(subjects.signing_key(kid, key.issuer))


def _retire_others(issuer_path: str, kept: Collection[str], *, by: Principal) -> None:
    at, states = clock.now(), SigningKey.State
    others = SigningKey.objects.filter(issuer=issuer_path, state__in=(states.ACTIVE, states.NEXT))
    for key in others.exclude(algorithm__in=kept).order_by("kid"):
        key.retires_at = at + TAIL if key.state == states.ACTIVE else at  # what never signed has no token
        key.state = states.RETIRED
        key.save(update_fields=["state", "retires_at"])
        log.record(Action.KEY_RETIRED, about=_about(key), by=by, detail={"algorithm": key.algorithm})
        changes.note(subjects.signing_key(key.kid, issuer_path))


def _make(issuer_path: str, algorithm: str, state: SigningKey.State, *, by: Principal) -> SigningKey:
    kid, now = secrets.token_urlsafe(12), clock.now()
    signer, made = _material(kid, issuer_path, algorithm)
    key = SigningKey.objects.create(
        kid=kid,
        issuer=issuer_path,
        algorithm=algorithm,
        signer=signer,
        public=made.public,
        sealed_private=seal.seal(made.private, in_use.place(kid), _root_key(issuer_path)),
        state=state,
        created_at=now,
        activates_at=now if state == SigningKey.State.ACTIVE else now + LEAD,
    )
    log.record(Action.KEY_MADE, about=_about(key), by=by, detail={"state": str(state)})
    changes.note(subjects.signing_key(kid, issuer_path))
    return key


def _material(kid: str, issuer_path: str, algorithm: str) -> tuple[str, NewKey]:
    """Make a key: where its private half lies, what everybody may know of it, and what is sealed.

    Keys that seal lie in the database alone: each node opens with them itself.
    """
    if issuer_path in session_keys.SEALING:
        return signers.Name.DATABASE, NewKey(session_keys.described(kid), session_keys.new_secret())
    return signers.make(kid, algorithm)


def _destroy_after(key: SigningKey) -> None:
    """Forget a private key at its signer once this transaction is committed. One that it cannot reach keeps it."""
    if key.sealed_private and key.signer != signers.Name.DATABASE:
        own = own_key(key.kid)
        transaction.on_commit(functools.partial(signers.destroy, own), robust=True)


def _active(issuer_path: str, algorithm: str) -> SigningKey | None:
    return SigningKey.objects.filter(issuer=issuer_path, algorithm=algorithm, state=SigningKey.State.ACTIVE).first()


def _next(issuer_path: str, algorithm: str) -> SigningKey | None:
    return SigningKey.objects.filter(issuer=issuer_path, algorithm=algorithm, state=SigningKey.State.NEXT).first()


def _about(key: SigningKey) -> list[str]:
    return [f"key:{key.kid}", f"issuer:{addresses.issuer(key.issuer)}"]
