"""Actions on discovery sources: connect one, replace its credential, change its schedule, disable and enable it.

The credential is stored sealed and is shown to no one again. It goes only where it was first given for: the address of
a source never changes, and Entra's addresses are those of Microsoft's cloud (`TEAMS_CLOUD`).
"""

from __future__ import annotations

import re
from datetime import timedelta
from http import HTTPStatus
from typing import Final
from uuid import UUID

from django.db import IntegrityError, transaction
from django.db.models import BinaryField
from django.db.models.functions import Substr

from audit import clock, log
from audit.actions import Action
from audit.context import Principal
from entitlements.agent_discovery.models import DiscoverySource
from entitlements.errors import DomainError, Malformed, NotFound, ReasonRequired
from entitlements.secrets import seal
from entitlements.upstream import egress

from . import lists

SHORTEST_HOURS, LONGEST_HOURS = 1, 168
LONGEST_CREDENTIAL: Final = 8192
_SHORTEST: Final = 8
_VALUE: Final = re.compile(r"[\x21-\x7e]+")
_Kind = DiscoverySource.Kind


class SourceTaken(DomainError):
    """A discovery source with this short name already exists."""

    code, status = "discovery_source_taken", HTTPStatus.CONFLICT


class BadCredential(DomainError):
    """A credential has 8 to 8192 visible ASCII characters. For Okta with a client, it is a private key as JWK."""

    code, status = "discovery_bad_credential", HTTPStatus.UNPROCESSABLE_ENTITY


class BadSourceAddress(DomainError):
    """The address is https:// and a host, without a path or query."""

    code, status = "discovery_bad_address", HTTPStatus.UNPROCESSABLE_ENTITY


def connect_okta(
    *, slug: str, name: str, address: str, credential: str, client_id: str = "", reads: str = "all", by: Principal
) -> DiscoverySource:
    """Connect an Okta organization: with an API token, or with `client_id` and the private key (JWK) of a service app.

    Raises SourceTaken, BadSourceAddress, ForbiddenAddress, BadCredential, lists.BadPrivateKey, Malformed.
    """
    fields = {"address": _address(address), "client_id": client_id.strip(), "reads": _reads(reads)}
    return _make(DiscoverySource(slug=slug, name=name, kind=_Kind.OKTA, **fields), credential, by=by)


def connect_entra(
    *, slug: str, name: str, tenant: UUID, app_id: UUID, credential: str, reads: str = "all", by: Principal
) -> DiscoverySource:
    """Connect a tenant of Microsoft Entra ID by an app registration and its client secret. Raises as `connect_okta`."""
    fields = {"tenant": str(tenant), "client_id": str(app_id), "reads": _reads(reads)}
    return _make(DiscoverySource(slug=slug, name=name, kind=_Kind.ENTRA, **fields), credential, by=by)


def connect_fleet(
    *, slug: str, name: str, address: str, report: int, credential: str, by: Principal
) -> DiscoverySource:
    """Connect a report of a Fleet server that lists MCP clients of devices, by an API token. Raises as above."""
    fields = {"address": _address(address), "report": report}
    return _make(DiscoverySource(slug=slug, name=name, kind=_Kind.FLEET, **fields), credential, by=by)


@transaction.atomic
def _make(source: DiscoverySource, credential: str, *, by: Principal) -> DiscoverySource:
    now = clock.now()
    _seal(source, credential)
    source.next_at = source.made_at = now
    try:
        with transaction.atomic():
            source.save(force_insert=True)
    except IntegrityError as error:
        raise SourceTaken(slug=source.slug) from error
    place = {"address": source.address, "tenant": source.tenant, "report": source.report}
    detail = {"name": source.name, "kind": source.kind, "reads": source.reads, "client_id": source.client_id, **place}
    log.record(Action.DISCOVERY_SOURCE_MADE, about=about(source), by=by, detail=detail)
    return source


@transaction.atomic
def replace_credential(source: DiscoverySource, *, credential: str, by: Principal) -> DiscoverySource:
    """Replace the credential of a source; the one before is deleted. Raises BadCredential, lists.BadPrivateKey."""
    locked = lock(source)
    _seal(locked, credential)
    locked.save(update_fields=["sealed", "last_four", "credential_made_at"])
    log.record(Action.DISCOVERY_SOURCE_CREDENTIAL_REPLACED, about=about(locked), by=by)
    return locked


@transaction.atomic
def change(source: DiscoverySource, *, every_hours: int, reads: str, by: Principal) -> DiscoverySource:
    """Change how often a source is read, in hours from 1 to 168, and which of its lists. Raises Malformed.

    The same again records nothing.
    """
    locked = lock(source)
    if not SHORTEST_HOURS <= every_hours <= LONGEST_HOURS:
        raise Malformed("A source is read at least once a week and at most once an hour.")
    wanted = (every_hours, _reads(reads))
    if wanted != (locked.every_hours, locked.reads):
        locked.every_hours, locked.reads = wanted
        locked.next_at = min(locked.next_at, clock.now() + timedelta(hours=every_hours))
        locked.save(update_fields=["every_hours", "reads", "next_at"])
        detail = {"every_hours": every_hours, "reads": reads}
        log.record(Action.DISCOVERY_SOURCE_CHANGED, about=about(locked), by=by, detail=detail)
    return locked


@transaction.atomic
def disable(source: DiscoverySource, *, by: Principal, reason: str) -> DiscoverySource:
    """Stop reading a source; what it found stays. Twice records nothing. Raises ReasonRequired."""
    return _switch(source, Action.DISCOVERY_SOURCE_DISABLED, enabled=False, by=by, reason=reason)


@transaction.atomic
def enable(source: DiscoverySource, *, by: Principal, reason: str) -> DiscoverySource:
    """Read a source again, from the next minute on. Twice records nothing. Raises ReasonRequired."""
    return _switch(source, Action.DISCOVERY_SOURCE_ENABLED, enabled=True, by=by, reason=reason)


def _switch(source: DiscoverySource, action: Action, *, enabled: bool, by: Principal, reason: str) -> DiscoverySource:
    if not reason.strip():
        raise ReasonRequired
    locked = lock(source)
    if locked.enabled != enabled:
        locked.enabled, locked.next_at = enabled, clock.now()
        locked.save(update_fields=["enabled", "next_at"])
        log.record(action, about=about(locked), by=by, reason=reason)
    return locked


def about(source: DiscoverySource) -> list[str]:
    """Return the links by which the audit log names a source."""
    return [f"discovery_source:{source.slug}"]


def lock(source: DiscoverySource) -> DiscoverySource:
    """Lock a source until the transaction ends, and return it as it is. Raises NotFound."""
    locked = DiscoverySource.objects.select_for_update().filter(pk=source.pk).first()
    if locked is None:
        raise NotFound
    return locked


def _reads(reads: str) -> str:
    if reads not in DiscoverySource.Reads.values:
        raise Malformed
    return reads


def _address(address: str) -> str:
    """Return an address without the slash at its end. Raises BadSourceAddress, ForbiddenAddress."""
    parts = egress.check_url(address.strip())
    if parts.path not in {"", "/"} or parts.query:
        raise BadSourceAddress
    return f"{parts.scheme}://{parts.netloc}"


# ------------------------------------------------------------------------------------------------ sealed values


def credential(source: DiscoverySource) -> str:
    """Return the credential of a source. Raises SealBroken."""
    return seal.unseal(bytes(source.sealed), _place(source)).decode()


def _seal(source: DiscoverySource, value: str) -> None:
    value = value.strip()
    if source.kind == _Kind.OKTA and source.client_id:
        lists.private_key(value)
        source.last_four = ""
    elif _SHORTEST <= len(value) <= LONGEST_CREDENTIAL and _VALUE.fullmatch(value):
        source.last_four = value[-4:]
    else:
        raise BadCredential
    source.sealed, source.credential_made_at = seal.seal(value.encode(), _place(source)), clock.now()


def _place(source: DiscoverySource) -> str:
    return f"discovery-credential:{source.slug}"


@transaction.atomic
def reseal(most: int) -> int:
    """Reseal up to `most` credentials under another key-encryption key; return how many. Raises SealBroken."""
    begins = Substr("sealed", 1, seal.BEGINNING, output_field=BinaryField())
    others = DiscoverySource.objects.annotate(begins=begins).exclude(begins=seal.beginning())
    rows = others.order_by("pk").select_for_update()[:most]
    for row in rows:
        row.sealed = seal.reseal(bytes(row.sealed), _place(row))
        row.save(update_fields=["sealed"])
    return len(rows)
