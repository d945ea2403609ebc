"""The names that clients have at resource authorization servers, where these differ from ours."""

from __future__ import annotations

from django.db import transaction

from audit import log
from audit.actions import Action
from audit.context import Principal
from entitlements.catalog.models import System
from entitlements.clients import clients
from entitlements.clients.models import Client, ClientAlias
from entitlements.feed import locks
from entitlements.feed.locks import Lock


@transaction.atomic
def name_at(client: Client, system: System, foreign_id: str, *, by: Principal) -> ClientAlias:
    """Say under which identifier a system's authorization server knows the client (EMA-I-10)."""
    # The client that has this name here is known by it there no longer.
    namesake = Client.objects.filter(client_id=foreign_id).exclude(pk=client.pk).first()
    both = [client, *([namesake] if namesake else [])]
    locks.exclusive(*((Lock.CLIENT, each.pk) for each in both))
    alias, _ = ClientAlias.objects.update_or_create(client=client, system=system, defaults={"foreign_id": foreign_id})
    for each in both:
        clients.note(each)
    log.record(
        Action.CLIENT_NAMED_AT_SYSTEM,
        about=[*clients.about(client), f"system:{system.slug}"],
        by=by,
        detail={"foreign_id": foreign_id},
    )
    return alias
