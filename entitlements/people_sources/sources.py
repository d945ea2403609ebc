"""Actions on people sources: connect a directory, give it another token, end it; and its guard.

A source that removes more than one in twenty of its people within an hour is paused (never below three): more likely a
mistake over there than so many leavers. What it asks to remove is then held until a platform admin answers.
"""

from __future__ import annotations

import hashlib
import secrets
from datetime import datetime, timedelta
from http import HTTPStatus
from typing import Final

from django.db import IntegrityError, transaction
from django.db.models import F, QuerySet

from audit import clock, log
from audit.actions import Action
from audit.context import Principal
from entitlements.credential_policy import age
from entitlements.credential_policy.rules import Kind
from entitlements.errors import DomainError, NotFound, ReasonRequired
from entitlements.feed import locks
from entitlements.feed.locks import Lock
from entitlements.people import people
from entitlements.people.models import Person
from entitlements.people_sources.models import PeopleSource, SourcedPerson
from entitlements.trusted_issuers.models import TrustedIssuer

PREFIX: Final = "mds_"
WINDOW: Final = timedelta(hours=1)
SHARE: Final = 20
"""One in so many people may be removed within the window."""
AT_LEAST: Final = 3
STALE: Final = timedelta(hours=24)
"""A source that was not heard for so long is called silent."""
_SEEN_AGAIN: Final = timedelta(minutes=1)


class SourceTaken(DomainError):
    """A people source with this short name already exists."""

    code, status = "source_taken", HTTPStatus.CONFLICT


class NothingHeld(DomainError):
    """No removal of this source is held, so there is nothing to answer."""

    code, status = "nothing_held", HTTPStatus.CONFLICT


def subject_issuers() -> QuerySet[TrustedIssuer]:
    """Return the issuers whose subjects the external ids of a source may be: of ID tokens, or of ID-JAGs."""
    of_people = (TrustedIssuer.Purpose.IDENTITY, TrustedIssuer.Purpose.ID_JAG)
    return TrustedIssuer.objects.filter(purpose__in=of_people, enabled=True).order_by("issuer")


@transaction.atomic
def make(slug: str, *, name: str, subjects_of: TrustedIssuer | None, by: Principal) -> tuple[PeopleSource, str]:
    """Connect a directory; returns it with its token, which is shown this once. Raises SourceTaken."""
    token = _token()
    try:
        with transaction.atomic():
            source = PeopleSource.objects.create(
                slug=slug, name=name, subjects_of=subjects_of, digest=digest(token), created_at=clock.now()
            )
    except IntegrityError as error:
        raise SourceTaken(slug=slug) from error
    detail = {"name": name, "subjects_of": subjects_of.issuer if subjects_of else None}
    log.record(Action.PEOPLE_SOURCE_MADE, about=[str(source.principal)], by=by, detail=detail)
    return source, token


@transaction.atomic
def rotate(source: PeopleSource, *, by: Principal) -> str:
    """Give a source another token and return it, shown this once; the one before is worth nothing from now on."""
    token, locked = _token(), lock(source)
    locked.digest, locked.enabled, locked.token_made_at = digest(token), True, clock.now()
    locked.save(update_fields=["digest", "enabled", "token_made_at"])
    log.record(Action.PEOPLE_SOURCE_TOKEN_ROTATED, about=[str(locked.principal)], by=by)
    return token


@transaction.atomic
def disable(source: PeopleSource, *, by: Principal, reason: str) -> None:
    """End a source's access; its people stay. Twice changes and records nothing. Raises ReasonRequired."""
    if not reason.strip():
        raise ReasonRequired
    locked = lock(source)
    if locked.enabled:
        locked.enabled = False
        locked.save(update_fields=["enabled"])
        log.record(Action.PEOPLE_SOURCE_DISABLED, about=[str(locked.principal)], by=by, reason=reason)


def of_token(token: str) -> PeopleSource | None:
    """Return the source of a token, and note that it was here; None when the token is no source's any longer.

    Raises CredentialTooOld.
    """
    source = PeopleSource.objects.filter(digest=digest(token), enabled=True).first()
    now = clock.now()
    if source is not None:
        age.check(Kind.SCIM_TOKEN, source.token_made_at, source.principal)
    if source is not None and (source.seen_at is None or now - source.seen_at > _SEEN_AGAIN):
        PeopleSource.objects.filter(pk=source.pk).update(seen_at=now)
    return source


def digest(token: str) -> str:
    """Return what is stored of a source's token: a fast hash suffices for 256 random bits."""
    return hashlib.sha256(token.encode()).hexdigest()


def check(source: PeopleSource) -> list[str]:
    """Return the codes of what keeps a source from reporting who works here; none while it reports."""
    codes = [] if source.enabled else ["ended"]
    if source.seen_at is None:
        codes.append("never_heard")
    elif clock.now() - source.seen_at > STALE:
        codes.append("silent")
    if source.paused_at is not None:
        codes.append("paused")
    if source.subjects_of is not None and not source.subjects_of.enabled:
        codes.append("issuer_distrusted")
    return codes


def held_removals(source: PeopleSource) -> list[SourcedPerson]:
    """List the people whose removal waits for an answer, by user name."""
    return list(source.people.exclude(held_at=None).select_related("person").order_by("user_name"))


def hold_removal(entry: SourcedPerson, *, by: Principal) -> bool:
    """Hold the removal of a person when the source removes too many; says whether it is held. Holds the source alone.

    Runs in a transaction of the caller, who removes no person where this returns True.
    """
    source = lock(entry.source)
    if not entry.person.is_active:  # disabling a disabled person removes no one
        return False
    now = clock.now()
    if source.paused_at is None and not _is_too_much(source):
        return False
    if source.paused_at is None:
        source.paused_at = now
        source.save(update_fields=["paused_at"])
        log.record(Action.PEOPLE_SOURCE_PAUSED, about=[str(source.principal)], by=by, detail=counts(source))
    if entry.held_at is None:
        entry.held_at = now
        entry.save(update_fields=["held_at"])
        links = [f"person:{entry.person.login}", str(source.principal)]
        log.record(Action.PERSON_REMOVAL_HELD, about=links, by=by)
    return True


def counts(source: PeopleSource) -> dict[str, int]:
    """Say how many people of the source are in, and how many it removed within the window."""
    since = _since(source, clock.now())
    gone = source.people.filter(left_at__gte=since)
    return {"people": source.people.filter(active=True, person__is_active=True).count(), "removed": gone.count()}


def _is_too_much(source: PeopleSource) -> bool:
    """Whether one more removal is one too many for this window."""
    known = counts(source)
    return known["removed"] >= max(AT_LEAST - 1, (known["people"] + known["removed"]) // SHARE)


def _since(source: PeopleSource, now: datetime) -> datetime:
    """Return where the window begins; an admin's answer begins another."""
    begins = now - WINDOW
    return max(begins, source.answered_at) if source.answered_at else begins


def allow_removals(source: PeopleSource, *, by: Principal, reason: str) -> int:
    """Carry out every removal that is held, each in a transaction of its own; returns how many.

    Interrupted, it leaves the rest held and the source paused, and is simply done again. Raises ReasonRequired,
    NothingHeld.
    """
    if not reason.strip():
        raise ReasonRequired
    waiting = held_removals(source)
    if not waiting:
        raise NothingHeld
    for entry in waiting:
        remove_now(entry, by=source.principal, reason=reason)
    with transaction.atomic():
        _answer(source, Action.PEOPLE_SOURCE_REMOVALS_LET_THROUGH, len(waiting), by=by, reason=reason)
    return len(waiting)


@transaction.atomic
def refuse_removals(source: PeopleSource, *, by: Principal, reason: str) -> int:
    """Keep everybody whose removal is held; returns how many. Asked again, the source is held again.

    Raises ReasonRequired, NothingHeld.
    """
    if not reason.strip():
        raise ReasonRequired
    lock(source)
    kept = SourcedPerson.objects.filter(source=source).exclude(held_at=None).update(held_at=None)
    if not kept:
        raise NothingHeld
    _answer(source, Action.PEOPLE_SOURCE_REMOVALS_REFUSED, kept, by=by, reason=reason)
    return kept


@transaction.atomic
def remove_now(entry: SourcedPerson, *, by: Principal, reason: str) -> None:
    """Shut a person of a source out at once, with all that acts for them, whatever the guard says."""
    now, person = clock.now(), Person.objects.get(pk=entry.person_id)
    left_at = now if person.is_active else entry.left_at
    people.disable(person, by=by, reason=reason)
    SourcedPerson.objects.filter(pk=entry.pk).update(
        active=False, left_at=left_at, held_at=None, changed_at=now, version=F("version") + 1
    )
    entry.refresh_from_db()


def _answer(source: PeopleSource, action: Action, count: int, *, by: Principal, reason: str) -> None:
    locked = lock(source)
    locked.paused_at, locked.answered_at = None, clock.now()
    locked.save(update_fields=["paused_at", "answered_at"])
    log.record(action, about=[str(locked.principal)], by=by, reason=reason, detail={"count": count})


def lock(source: PeopleSource) -> PeopleSource:
    """Lock a source until the transaction ends; returns the row as it is. Raises NotFound."""
    locks.exclusive((Lock.PERSON, f"source:{source.slug}"))
    row = PeopleSource.objects.filter(pk=source.pk).first()
    if row is None:
        raise NotFound
    return row


def _token() -> str:
    return f"{PREFIX}{secrets.token_urlsafe(32)}"
