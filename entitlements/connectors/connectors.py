"""Actions on connectors: an analyst asks for one, it enrols itself by its one-time code, a person revokes it."""

from __future__ import annotations

import secrets
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Final
from uuid import UUID

from django.db import IntegrityError, transaction

from audit import clock, log
from audit.actions import Action
from audit.context import SYSTEM, Principal
from entitlements.catalog.models import System
from entitlements.connectors.models import Connector
from entitlements.errors import NotFound, ReasonRequired
from entitlements.feed import changes, locks, subjects
from entitlements.feed.locks import Lock
from entitlements.keys import public_keys
from entitlements.people.models import Person

from . import errors, proof

CODE_LASTS: Final = timedelta(hours=1)
PLACES: Final = (1, 2)
_State = Connector.State


@dataclass(frozen=True, slots=True)
class NewConnector:
    """A connector that waits for its enrolment, and its code, which is shown this once."""

    connector: Connector
    code: str = field(repr=False)


@transaction.atomic
def add(system: System, *, name: str, by: Person, reason: str = "") -> NewConnector:
    """Make a connector of a system, and a code by which it enrols itself within an hour.

    Raises ReasonRequired, NotFound, TooManyConnectors.
    """
    if not reason.strip():
        raise ReasonRequired
    locks.exclusive((Lock.SYSTEM, system.pk))
    if system.kind not in System.AT_ADDRESS:
        raise NotFound
    held = Connector.objects.filter(system=system, state__in=(_State.PENDING, _State.ACTIVE))
    free = sorted(set(PLACES) - set(held.values_list("place", flat=True)))
    if not free:
        raise errors.TooManyConnectors
    code = proof.CODE_PREFIX + secrets.token_urlsafe(32)
    row = Connector.objects.create(
        system=system,
        name=name.strip() or f"connector {free[0]}",
        place=free[0],
        reason=reason,
        created_by=by,
        created_at=clock.now(),
        code_sha256=proof.digest(code),
        code_ends_at=clock.now() + CODE_LASTS,
    )
    detail = {"name": row.name, "code_ends_at": row.code_ends_at.isoformat()}
    log.record(Action.CONNECTOR_ADDED, about=about(row), by=by.principal, reason=reason, detail=detail)
    return NewConnector(row, code)


@transaction.atomic
def enrol(*, code: str, public_key: str) -> Connector:
    """Take the key of a connector for its code, which is used up by that. Raises EnrolmentRefused, BadKey.

    All that can be wrong with a code is one refusal, so that nothing is learned of codes by trying.
    """
    public_keys.read({"kty": "OKP", "crv": "Ed25519", "kid": "connector", "x": public_key})
    seen = Connector.objects.filter(code_sha256=proof.digest(code)).first()
    if seen is None:
        raise errors.EnrolmentRefused
    locks.exclusive((Lock.SYSTEM, seen.system_id))
    row = Connector.objects.select_related("system").filter(pk=seen.pk, code_sha256=seen.code_sha256).first()
    if row is None or row.state != _State.PENDING or row.code_ends_at <= clock.now():
        raise errors.EnrolmentRefused
    row.state, row.enrolled_at, row.code_sha256 = _State.ACTIVE, clock.now(), ""
    row.public_key, row.thumbprint = public_key, proof.thumbprint(public_key)
    try:
        with transaction.atomic():
            row.save(update_fields=["state", "enrolled_at", "code_sha256", "public_key", "thumbprint"])
    except IntegrityError as error:  # another connector has this key
        raise errors.EnrolmentRefused from error
    log.record(Action.CONNECTOR_ENROLLED, about=about(row), by=SYSTEM, detail={"thumbprint": row.thumbprint})
    changes.note(subjects.system(row.system_id))
    return row


@transaction.atomic
def revoke(key: UUID, *, by: Principal, reason: str) -> Connector:
    """Revoke a connector for good: its code and its key open nothing any more, and every node cuts its connection.

    Raises ReasonRequired, NotFound, ConnectorRevoked.
    """
    if not reason.strip():
        raise ReasonRequired
    seen = Connector.objects.filter(pk=key).first()
    if seen is None:
        raise NotFound
    locks.exclusive((Lock.SYSTEM, seen.system_id))
    row = Connector.objects.select_related("system").get(pk=key)
    if row.state == _State.REVOKED:
        raise errors.ConnectorRevoked
    row.state, row.revoked_at, row.revoke_reason, row.code_sha256 = _State.REVOKED, clock.now(), reason, ""
    row.save(update_fields=["state", "revoked_at", "revoke_reason", "code_sha256"])
    detail = {"thumbprint": row.thumbprint}
    log.record(Action.CONNECTOR_REVOKED, about=about(row), by=by, reason=reason, detail=detail)
    changes.note(subjects.system(row.system_id))
    return row


def about(row: Connector) -> list[str]:
    """Return the links by which the record of a connector is found again."""
    return [f"system:{row.system.slug}", f"connector:{row.pk}"]
