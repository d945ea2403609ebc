"""Whom a grant serves: one of several people leaves it, and comes back if that is taken back; others stay."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any
from uuid import UUID

from django.db import IntegrityError, transaction

from audit import log
from audit.actions import Action
from audit.context import Principal

from . import changes, grants, locks
from .errors import NotFound
from .locks import Lock
from .models import Grant, GrantSubject, Person


@transaction.atomic
def leave(grant_id: UUID, person: Person, *, by: Principal, reason: str) -> dict[str, Any]:
    """Let a grant no longer serve one of its people, at once. Returns what it was before, as JSON, for `come_back`.

    Raises NotFound, AlreadyEnded, and NotNarrower for somebody whom it does not name or who is all that it serves.
    """
    grant = _locked(grant_id)
    subjects = grant.subjects.all()
    if not subjects.filter(person=person).exists() or subjects.count() == 1:
        raise grants.NotNarrower
    before = {"person": person.login, "digest": grant.subjects_digest, "version": grant.version + 1}
    subjects.filter(person=person).delete()
    left = list(subjects.select_related("person", "group"))
    people, groups = [each.person for each in left if each.person], [each.group for each in left if each.group]
    grant.subjects_digest = grants.subjects_digest(people, groups)
    try:
        with transaction.atomic():
            _save(grant)
    except IntegrityError:  # the others hold the same by another grant
        grant.subjects_digest = grants.subjects_digest(people, groups, beside=True)
        grant.version -= 1
        _save(grant)
    _record(grant, Action.GRANT_REDUCED, person, by=by, reason=reason)
    return before


@transaction.atomic
def come_back(grant_id: UUID, before: Mapping[str, Any], *, by: Principal, reason: str) -> Grant:
    """Let a grant serve again who left it, if nothing has happened to it since.

    Raises NotFound, AlreadyEnded, ChangedSince.
    """
    grant = _locked(grant_id)
    if grant.version != before["version"]:
        raise grants.ChangedSince
    person = Person.objects.get(login=before["person"])
    GrantSubject.objects.create(grant=grant, person=person)
    grant.subjects_digest = before["digest"]
    try:
        with transaction.atomic():
            _save(grant)
    except IntegrityError as error:  # all of them hold the same by another grant meanwhile
        raise grants.AlreadyHeld from error
    _record(grant, Action.GRANT_REDUCTION_UNDONE, person, by=by, reason=reason)
    return grant


def _locked(grant_id: UUID) -> Grant:
    locks.exclusive((Lock.GRANT, grant_id))
    grant = Grant.objects.select_related("agent", "entitlement__system").filter(pk=grant_id).first()
    if grant is None:
        raise NotFound
    if grant.ended_at is not None:
        raise grants.AlreadyEnded
    return grant


def _save(grant: Grant) -> None:
    grant.version += 1
    grant.save(update_fields=["subjects_digest", "version"])


def _record(grant: Grant, action: Action, person: Person, *, by: Principal, reason: str) -> None:
    links = [*grants.about(grant), f"person:{person.login}"]
    log.record(action, about=links, by=by, reason=reason, detail={"person": person.login})
    changes.note(changes.Kind.GRANT, f"grant:{grant.pk}", agent_id=grant.agent_id)
