"""Documents of REST APIs that changed, noticed soon: asked for by the validator of the last answer (RFC 9110 13.1).

An answer of 304 costs a few octets. A document that comes without a validator is fetched whole each time, and so no
more often than its system is asked for its tools. What is remembered is this process's own, and fetched if forgotten.
"""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Mapping
from datetime import datetime, timedelta
from http import HTTPStatus
from typing import Final

from django.conf import settings
from django.db import transaction
from django.db.models import F, Q, QuerySet

from audit import clock
from entitlements.catalog.models import System
from entitlements.definition_watch.models import DefinitionWatch
from entitlements.openapi import documents
from entitlements.upstream import egress

from .models import RestApi
from .sources import FETCH_SECONDS

EVERY: Final = timedelta(seconds=10)
AT_ONCE: Final = 50
_CONDITIONS: Final = {"ETag": "If-None-Match", "Last-Modified": "If-Modified-Since"}
_NO_DOCUMENT: Final = Q(rest_api__document_url="") | Q(rest_api=None)

_conditions: dict[tuple[int, str], dict[str, str]] = {}
"""The conditions under which a document is asked for, by system and address."""
_told: dict[tuple[int, str], str] = {}
"""The digest of the last document that was another one: where it cannot be read, that is said once."""


@transaction.atomic
def claim_due() -> list[int]:
    """Claim the REST APIs whose document is to be looked at now, longest wait first; two workers at once share them."""
    now = clock.now()
    watched = _watched()
    fresh = watched.filter(definition_watch=None).order_by("pk")[:AT_ONCE]
    DefinitionWatch.objects.bulk_create((DefinitionWatch(system=each) for each in fresh), ignore_conflicts=True)
    due = DefinitionWatch.objects.filter(Q(listen_again_at=None) | Q(listen_again_at__lte=now), system__in=watched)
    ordered = due.select_for_update(skip_locked=True, of=("self",)).order_by(F("listen_again_at").asc(nulls_first=True))
    claimed = list(ordered.values_list("pk", flat=True)[:AT_ONCE])
    DefinitionWatch.objects.filter(pk__in=claimed).update(listen_again_at=now + EVERY)
    return claimed


def next_due() -> datetime | None:
    """Return when the next document is looked at."""
    rows = DefinitionWatch.objects.filter(system__in=_watched(), listen_again_at__isnull=False)
    return rows.order_by("listen_again_at").values_list("listen_again_at", flat=True).first()


def _watched() -> QuerySet[System]:
    return System.objects.filter(kind=System.Kind.HTTP, status=System.Status.ACTIVE).exclude(_NO_DOCUMENT)


def is_changed(system_id: int) -> bool:
    """Ask for the document of a REST API, and say whether it is another than the one that was read last.

    Raises ForbiddenAddress, Unreachable, AnswerTooLarge.
    """
    row = RestApi.objects.filter(system=system_id).values_list("document_url", "sha256").first()
    if row is None or not row[0]:
        return False
    key, known = (system_id, row[0]), {row[1]}
    url, conditions = row[0], _conditions.get(key, {})
    answer = asyncio.run(_ask(url, conditions))
    if answer.status == HTTPStatus.NOT_MODIFIED and conditions:
        return False
    if answer.status != HTTPStatus.OK:
        raise egress.Unreachable(status=answer.status)
    _conditions[key] = {_CONDITIONS[name]: value for name, value in answer.validators.items() if value}
    if not _conditions[key]:
        again_at = clock.now() + settings.DISCOVERY_EVERY
        DefinitionWatch.objects.filter(pk=system_id).update(listen_again_at=again_at)
    digest = hashlib.sha256(answer.body).hexdigest()
    if digest in known | {_told.get(key, "")}:
        return False
    _told[key] = digest
    return True


async def _ask(url: str, conditions: Mapping[str, str]) -> egress.Answer:
    headers = {"Accept": "application/json", **conditions}
    return await egress.request("GET", url, None, headers, largest=documents.LARGEST, seconds=FETCH_SECONDS)
