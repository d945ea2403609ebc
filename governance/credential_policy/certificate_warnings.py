"""Warn the owner of a system before its client certificate ends: 30 days, 7 days and 1 day ahead, once each."""

from __future__ import annotations

from django.db import transaction
from django.urls import reverse
from django.utils.translation import gettext as _

from audit import clock
from entitlements.credential_policy import rules
from entitlements.feed import locks
from entitlements.feed.locks import Lock
from entitlements.networks.models import ClientCertificate
from entitlements.people.models import Person, Role
from governance.credential_policy.models import CredentialWarning
from governance.notices import queue
from governance.notices.models import Kind as NoticeKind


def warn() -> int:
    """Warn of all that came due, and return how many notices were queued. Twice at once warns once."""
    now = clock.now()
    with transaction.atomic():
        locks.exclusive((Lock.REQUEST, "credential-warnings"))
        near = ClientCertificate.objects.filter(ends_at__gt=now, ends_at__lte=now + rules.WARNED_BEFORE[0])
        return sum(_warn(row) for row in near.select_related("system__owner").order_by("pk"))


def _warn(row: ClientCertificate) -> int:
    before = rules.warning_due(row.ends_at, clock.now())
    assert before is not None  # noqa: S101 - for the type checker: it is near its end
    credential = f"client_certificate:{row.system.slug}:{row.fingerprint}"
    _known, is_new = CredentialWarning.objects.get_or_create(
        credential=credential, days=before.days, defaults={"warned_at": clock.now()}
    )
    if not is_new:
        return 0
    people = [row.system.owner] if row.system.owner else list(Person.objects.holding(Role.ADMIN))
    words = {"system": row.system.name, "day": f"{row.ends_at:%Y-%m-%d}"}
    return queue.queue(
        NoticeKind.CREDENTIAL,
        people,
        about=f"credential:{credential}",
        sentence=_("The client certificate of %(system)s ends on %(day)s. Store another one before.") % words,
        url=reverse("system-network-page", args=[row.system.slug]),
        dedupe=f"{credential}: {before.days}",
        urgent=before == rules.WARNED_BEFORE[-1],
    )
