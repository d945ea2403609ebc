"""The certificate by which Mandate signs in to a system over TLS: written once, its key sealed, opened on the way out.

No answer, event, log line or export holds the key: people see subject, fingerprint and end.
"""

from __future__ import annotations

from typing import Final

from django.db import transaction
from django.db.models import BinaryField
from django.db.models.functions import Substr

from audit import clock, log
from audit.actions import Action
from audit.context import Principal
from entitlements.catalog.models import System
from entitlements.errors import NotFound, ReasonRequired
from entitlements.feed import changes, locks, subjects
from entitlements.feed.locks import Lock
from entitlements.networks.models import ClientCertificate
from entitlements.secrets import seal

from . import rules
from .network import place

_LONGEST_SUBJECT: Final = 200


@transaction.atomic
def set_certificate(system: System, *, chain: str, key: str, by: Principal) -> ClientCertificate:
    """Store a client certificate and its private key, replacing any before. Raises ClientCertificateMalformed."""
    checked = rules.read_client_certificate(chain, key, clock.now())
    locks.exclusive((Lock.SYSTEM, system.pk))
    if system.kind == System.Kind.BUILTIN:
        raise NotFound
    row, _ = ClientCertificate.objects.update_or_create(
        system=system,
        defaults={
            "chain": checked.chain,
            "sealed_key": seal.seal(checked.key, place(system.pk)),
            "subject": checked.shown.subject[:_LONGEST_SUBJECT],
            "fingerprint": checked.shown.fingerprint,
            "ends_at": checked.shown.ends,
            "changed_at": clock.now(),
        },
    )
    detail = {"fingerprint": row.fingerprint, "ends_at": row.ends_at.isoformat()}
    log.record(Action.CLIENT_CERTIFICATE_SET, about=[f"system:{system.slug}"], by=by, detail=detail)
    changes.note(subjects.system(system.pk))
    return row


@transaction.atomic
def forget(system: System, *, by: Principal, reason: str, fingerprint: str = "") -> None:
    """Forget the client certificate of a system, for good; with a `fingerprint` that one alone.

    Raises ReasonRequired, NotFound.
    """
    if not reason.strip():
        raise ReasonRequired
    locks.exclusive((Lock.SYSTEM, system.pk))
    row = ClientCertificate.objects.filter(system=system).first()
    if row is None or fingerprint not in ("", row.fingerprint):
        raise NotFound
    forget_of(system)
    detail = {"fingerprint": row.fingerprint}
    log.record(
        Action.CLIENT_CERTIFICATE_FORGOTTEN, about=[f"system:{system.slug}"], by=by, reason=reason, detail=detail
    )
    changes.note(subjects.system(system.pk))


def forget_of(system: System) -> bool:
    """Delete the certificate of a system, and say whether there was one; the caller holds, records and notes it."""
    gone, _ = ClientCertificate.objects.filter(system=system).delete()
    return bool(gone)


@transaction.atomic
def reseal(most: int) -> int:
    """Seal up to `most` keys again that lie under another key-encryption key; says how many. Raises SealBroken.

    The key itself stays, so no node need hear of it.
    """
    begins = Substr("sealed_key", 1, seal.BEGINNING, output_field=BinaryField())
    others = ClientCertificate.objects.annotate(begins=begins).exclude(begins=seal.beginning())
    rows = others.order_by("pk").select_for_update()[:most]
    for row in rows:
        row.sealed_key = seal.reseal(bytes(row.sealed_key), place(row.system_id))
        row.save(update_fields=["sealed_key"])
    return len(rows)
