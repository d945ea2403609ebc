"""Replacing the key-encryption key: all data sealed under the previous one is sealed again, in steps that may stop.

Both keys are read meanwhile (KEY_ENCRYPTION_KEY and KEY_ENCRYPTION_KEY_PREVIOUS), so everything goes on. Each step is
a transaction of its own that takes what is still left: a run that was killed is begun again, and two do no harm.
"""

from __future__ import annotations

import base64
from dataclasses import asdict, dataclass
from typing import Any, Final

from allauth.mfa.models import Authenticator
from django.db import transaction

from audit import log, personal_data
from audit.actions import Action
from audit.context import Principal
from entitlements.agent_discovery import sources
from entitlements.connected_accounts import accounts as connected_accounts
from entitlements.errors import ReasonRequired
from entitlements.event_streams import poll_settings
from entitlements.keys import signing
from entitlements.networks import certificates
from entitlements.secrets import seal, vault
from entitlements.vendors import vendors
from governance.chat import connections
from governance.webhooks import webhooks as webhooks_actions

STEP: Final = 500
SECOND_FACTOR: Final = "second-factor"
"""What the secrets of second factors are bound to."""


@dataclass(frozen=True, slots=True)
class ResealedCounts:
    """How many of each were sealed again."""

    upstream_credentials: int
    signing_keys: int
    second_factors: int
    subject_keys: int
    webhooks: int = 0
    chat_connections: int = 0
    vendor_test_clients: int = 0
    discovery_sources: int = 0
    client_certificates: int = 0
    connected_accounts: int = 0
    event_streams: int = 0


def reseal(*, by: Principal, reason: str) -> ResealedCounts:
    """Seal again all that lies under another key-encryption key; one event records how much, if anything.

    Raises ReasonRequired, SealBroken or InvalidTag (something lies under a key that is neither of the two).
    """
    if not reason.strip():
        raise ReasonRequired
    done = ResealedCounts(
        upstream_credentials=_all(vault.reseal),
        signing_keys=_all(signing.reseal),
        second_factors=_second_factors(),
        subject_keys=_subject_keys(),
        webhooks=_all(webhooks_actions.reseal),
        chat_connections=_all(connections.reseal),
        vendor_test_clients=_all(vendors.reseal),
        discovery_sources=_all(sources.reseal),
        client_certificates=_all(certificates.reseal),
        connected_accounts=_all(connected_accounts.reseal),
        event_streams=_all(poll_settings.reseal),
    )
    if any(asdict(done).values()):
        with transaction.atomic():
            log.record(Action.KEY_ENCRYPTION_KEY_REPLACED, by=by, reason=reason, detail=asdict(done))
    return done


def _all(step: Any) -> int:  # noqa: ANN401 - a function that seals up to so many again
    total = 0
    while done := step(STEP):
        total += done
    return total


def _second_factors() -> int:
    """Walk all of them: there are as many as people, and what is sealed stands inside JSON."""
    total, last = 0, 0
    while True:
        with transaction.atomic():
            rows = list(Authenticator.objects.filter(pk__gt=last).order_by("pk").select_for_update()[:STEP])
            if not rows:
                return total
            for row in rows:
                total += _reseal_data(row)
            last = rows[-1].pk


def _reseal_data(row: Authenticator) -> bool:
    sealed = {name: base64.b64decode(row.data[name]) for name in ("secret", "seed") if name in row.data}
    others = {name: text for name, text in sealed.items() if not text.startswith(seal.beginning())}
    for name, text in others.items():
        row.data[name] = base64.b64encode(seal.reseal(text, SECOND_FACTOR)).decode()
    if others:
        row.save(update_fields=["data"])
    return bool(others)


def _subject_keys() -> int:
    total, last = 0, ""
    while step := personal_data.rewrap(last, STEP):
        last = step[0]
        total += step[1]
    return total
