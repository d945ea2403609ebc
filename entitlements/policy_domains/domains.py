"""Loading the policy domain of a system: each document is a version, and the newest is in force."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from http import HTTPStatus
from typing import Any

from django.db import transaction
from django.db.models import QuerySet

from audit import clock, log
from audit.actions import Action
from entitlements import strict
from entitlements.catalog.models import System
from entitlements.clients.models import Client
from entitlements.errors import DomainError, NotFound, ReasonRequired
from entitlements.feed import changes, locks, subjects
from entitlements.feed.locks import Lock
from entitlements.people.models import Person, Role

from . import rules
from .models import PolicyDomain


class PolicyDomainMalformed(DomainError):
    """The document is not one of a policy domain."""

    code, status = "policy_domain_malformed", HTTPStatus.UNPROCESSABLE_ENTITY


class PolicyDomainUnchanged(DomainError):
    """The document is in force already."""

    code, status = "policy_domain_unchanged", HTTPStatus.CONFLICT


class EnforcementPointUnusable(DomainError):
    """An enforcement point is no client that is registered, or none that you answer for: ask a platform admin.

    Or it asks about another system already.
    """

    code, status = "enforcement_point_unusable", HTTPStatus.CONFLICT


@transaction.atomic
def load(system: System, *, document: dict[str, Any], by: Person, reason: str) -> PolicyDomain:
    """Put a document in force as the next version of a system's policy domain.

    Raises ReasonRequired, PolicyDomainMalformed, PolicyDomainUnchanged, EnforcementPointUnusable, and NotFound for the
    system that is Mandate itself.
    """
    if not reason.strip():
        raise ReasonRequired
    try:
        domain = rules.read(document)
    except rules.Unreadable as why:
        raise PolicyDomainMalformed(str(why)) from why
    if not strict.is_storable(document):
        raise PolicyDomainMalformed("A text of the document holds the character NUL.")
    if system.kind == System.Kind.BUILTIN:
        raise NotFound
    clients = Client.objects.filter(client_id__in=domain.points)
    locks.exclusive((Lock.SYSTEM, system.pk), *((Lock.CLIENT, client.pk) for client in clients))
    before = current().filter(system=system).first()
    kept = before.points if before is not None else ()
    _check_points(system, domain.points, [each for each in clients if each.client_id in kept or _may_add(each, by)])
    digest = hashlib.sha256(strict.dumps(document)).hexdigest()
    if before is not None and before.sha256 == digest:
        raise PolicyDomainUnchanged
    now, number = clock.now(), 1
    if before is not None:
        number = before.number + 1
        before.replaced_at = now
        before.save(update_fields=["replaced_at"])
    row = PolicyDomain.objects.create(
        system=system,
        number=number,
        document=document,
        points=list(domain.points),
        sha256=digest,
        reason=reason,
        loaded_by=by,
        loaded_at=now,
    )
    counts = {name: len(document.get(name, ())) for name in ("subjects", "resources", "rules")}
    detail = {"version": number, "sha256": digest, "enforcement_points": list(domain.points), **counts}
    log.record(Action.POLICY_DOMAIN_LOADED, about=about(row), by=by.principal, reason=reason, detail=detail)
    changes.note(subjects.system(system.pk))
    return row


def current() -> QuerySet[PolicyDomain]:
    """Return the policy domains in force, with what is shown of each."""
    return PolicyDomain.objects.select_related("system", "loaded_by").filter(replaced_at=None)


def about(row: PolicyDomain) -> list[str]:
    """Return the links by which the record of a policy domain is found again."""
    return [f"system:{row.system.slug}"]


def _may_add(client: Client, by: Person) -> bool:
    """Whether a person may have what a client asks answered by their system: its own questions would be, too."""
    agent = client.agent
    return by.has_role(Role.ADMIN) or (agent is not None and by in (agent.sponsor, agent.owner, agent.backup))


def _check_points(system: System, points: tuple[str, ...], usable: Sequence[Client]) -> None:
    """Check that each is a usable client that asks about no other system. The caller holds the clients."""
    if len(usable) != len(points):
        raise EnforcementPointUnusable
    other = current().exclude(system=system).filter(points__has_any_keys=list(points)).first() if points else None
    if other is not None:
        taken = min(set(other.points).intersection(points))
        raise EnforcementPointUnusable(client=taken, system=other.system.slug)
