"""Clients in reviews: a removal disables the client, and with it every token that it could renew."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

from entitlements.clients import clients
from entitlements.clients.models import Client
from governance.reviews.items import holds
from governance.reviews.items.models import ReviewItem

from . import token_requests
from .kind import Cut, Kind


def _existing(keys: Collection[str]) -> set[str]:
    rows = Client.objects.filter(client_id__in=keys, status=Client.Status.ACTIVE)
    return set(rows.values_list("client_id", flat=True))


def _client(item: ReviewItem) -> Client:
    return Client.objects.select_related("agent").get(client_id=item.subject_key)


def _cut(item: ReviewItem, cut: Cut) -> dict[str, Any]:
    client = _client(item)
    if client.status != Client.Status.ACTIVE:
        return {"was": client.status}
    clients.disable(client, by=cut.by, reason=cut.reason)
    return {"was": client.status}


def _undo(item: ReviewItem, before: dict[str, Any], cut: Cut) -> bool:
    client = _client(item)
    if before["was"] != Client.Status.ACTIVE or client.status != Client.Status.DISABLED:
        return False
    others = clients.disabled_by(client.client_id) - {str(cut.undoes)}
    if others or holds.is_subject_held(ReviewItem.Subject.CLIENT, client.client_id):
        return False
    clients.enable(client, by=cut.by, reason=cut.reason)
    return True


def _probe(item: ReviewItem, cut: Cut) -> list[dict[str, Any]]:  # noqa: ARG001 - all kinds have one signature
    client = _client(item)
    return [
        token_requests.authentication(client.client_id),
        *(token_requests.tokens(client.agent, [client.client_id]) if client.agent else ()),
    ]


KIND = Kind(_existing, _cut, _probe, _undo, is_stopped_by_silence=True)
