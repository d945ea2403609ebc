"""Whom a grant serves: one of several people leaves it, and comes back if that is taken back; others stay."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from typing import Any
from uuid import UUID

from django.db import IntegrityError, transaction

from audit import log
from audit.actions import Action
from audit.context import Principal
from entitlements.errors import NotFound
from entitlements.feed import changes, locks
from entitlements.feed import subjects as feed_subjects
from entitlements.feed.locks import Lock
from entitlements.grants.models import Grant, GrantSubject
from entitlements.people.models import Person

from . import grants


@transaction.atomic
def remove_person(grant_id: UUID, person: Person, *, by: Principal, reason: str) -> dict[str, Any]:
    """Take one person out of a grant, at once. Returns what it was before, as JSON, for `restore_person`.

    Raises NotFound, AlreadyEnded, and NotNarrower for a person whom it does not name or who is the only one it serves.
    """
    grant = _locked(grant_id)
    subjects = grant.subjects.all()
    if not subjects.filter(person=person).exists() or subjects.count() == 1:
        raise grants.NotNarrower
    subjects.filter(person=person).delete()
    _save(grant)
    _record(grant, Action.GRANT_REDUCED, person, by=by, reason=reason)
    return {"person": person.login, "version": grant.version}


@transaction.atomic
def restore_person(grant_id: UUID, before: Mapping[str, Any], *, by: Principal, reason: str) -> Grant:
    """Let a grant serve again who left it, on the terms that it has by now. Raises NotFound, AlreadyEnded."""
    grant = _locked(grant_id)
    person = Person.objects.get(login=before["person"])
    GrantSubject.objects.get_or_create(grant=grant, person=person)
    _save(grant)
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
    """Name the grant by whom it serves now; beside others that those people hold by the same entitlement."""
    grant.version += 1
    subjects = list(grant.subjects.select_related("person", "group"))
    people, groups = (
        [subject.person for subject in subjects if subject.person],
        [subject.group for subject in subjects if subject.group],
    )
    for beside in (False, True, grant.pk):  # the last is no other's, however many come to serve the same
        grant.subjects_digest = grants.subjects_digest(people, groups, beside=beside)
        with suppress(IntegrityError), transaction.atomic():
            grant.save(update_fields=["subjects_digest", "version"])
            return
    raise grants.AlreadyHeld


def _record(grant: Grant, action: Action, person: Person, *, by: Principal, reason: str) -> None:
    links = [*grants.about(grant), f"person:{person.login}"]
    log.record(action, about=links, by=by, reason=reason, detail={"person": person.login})
    changes.note(feed_subjects.grant(grant.pk), of=[feed_subjects.agent(grant.agent_id)])
