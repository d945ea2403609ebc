"""What goes out, and mail above all: stored, tried until the other side takes it, given up after ten attempts.

A worker first stores the attempt and the time of the next one, then sends, then stores the result. Workers share the
queue. A worker that is killed between sending and storing the result causes a second copy of the mail, with the same
Message-ID.
"""

from __future__ import annotations

import secrets
import smtplib
from datetime import datetime, timedelta
from http import HTTPStatus
from typing import Any, Final
from uuid import UUID

from django.conf import settings
from django.db import transaction
from django.db.models import QuerySet

from audit import clock, log, redaction
from audit.actions import Action
from audit.context import SYSTEM, Principal
from entitlements.errors import DomainError, NotFound
from entitlements.people.models import Person
from governance.notices.models import Delivery, Notice, NoticeSettings, Outgoing

from . import letters, preferences

MOST_ATTEMPTS: Final = 10
_FIRST, _LONGEST = timedelta(minutes=1), timedelta(hours=6)
_STALE: Final = timedelta(days=7)
_PERMANENT: Final = 500  # RFC 5321, section 4.2.1
_MAIL: Final = (Delivery.Channel.URGENT, Delivery.Channel.DIGEST)
_State = Outgoing.State


class NotGivenUp(DomainError):
    """It waits to be sent or was sent. You can retry it only after it was given up."""

    code, status = "delivery_not_given_up", HTTPStatus.CONFLICT


def is_on() -> bool:
    """Whether a mail server is configured. Without one no mail is stored for later."""
    return bool(settings.MAILERS.get("default"))


def post_at_once(notice: Notice) -> None:
    """Store the mail of an urgent notice, in the transaction that creates the notice."""
    chosen = preferences.for_person(notice.person)
    if not _reachable(notice.person, chosen) or not preferences.is_mailed(chosen, notice.kind):
        return
    now = clock.now()
    notice.delivery = Delivery.objects.create(
        channel=Delivery.Channel.URGENT,
        dedupe=f"notice {notice.pk}",
        person=notice.person,
        next_at=preferences.not_before(chosen, notice.kind, now),
        made_at=now,
    )
    notice.save(update_fields=["delivery"])


def post_digests() -> int:
    """Store a digest for each person whose digest hour has come and who has unread notices; return how many."""
    if not is_on():
        return 0
    unmailed = Notice.objects.filter(delivery=None, read_at=None, made_at__gt=clock.now() - _STALE)
    people = unmailed.order_by("person_id").values_list("person_id", flat=True).distinct()
    return sum(_post_digest(person) for person in people)


@transaction.atomic
def _post_digest(person_id: int) -> bool:
    person = Person.objects.select_for_update(no_key=True, skip_locked=True).filter(pk=person_id).first()
    if person is None:
        return False
    chosen, now = preferences.for_person(person), clock.now()
    day, moment = preferences.digest_of(chosen, now)
    key = f"digest {person.pk} {day}"
    if not _reachable(person, chosen) or Delivery.objects.filter(dedupe=key).exists():
        return False
    unmailed = Notice.objects.filter(person=person, delivery=None, read_at=None)
    due = unmailed.filter(made_at__gt=now - _STALE, made_at__lte=moment)
    wanted = [notice.pk for notice in due if preferences.is_mailed(chosen, notice.kind)]
    if not wanted:
        return False
    quiet = preferences.after_quiet_hours(chosen, now)
    delivery = Delivery.objects.create(
        channel=Delivery.Channel.DIGEST, dedupe=key, person=person, next_at=quiet, made_at=now
    )
    Notice.objects.filter(pk__in=wanted).update(delivery=delivery)
    return True


def _reachable(person: Person, chosen: NoticeSettings) -> bool:
    return is_on() and person.is_active and bool(person.email) and person.email != chosen.bad_address


def send_one() -> bool:
    """Try the delivery that has waited longest; return whether one was due."""
    claimed = claim(Delivery.objects.filter(channel__in=_MAIL).select_related("person"))
    if claimed is None:
        return False
    chosen = preferences.for_person(claimed.person)
    notices = list(claimed.notices.order_by("-urgent", "-made_at", "-id"))
    if not notices or not _reachable(claimed.person, chosen):
        give_up(claimed, "This person cannot be reached by mail.")
        return True
    try:
        letters.write(claimed, notices, chosen).send(using="default")
    except smtplib.SMTPRecipientsRefused as problem:
        _refused(claimed, problem)
    except (smtplib.SMTPException, OSError) as problem:
        failed(claimed, str(problem))
    else:
        mine(claimed).update(state=_State.SENT, sent_at=clock.now(), answer="")
    return True


def next_due() -> datetime | None:
    """Return when the next mail is due."""
    return first_due(Delivery.objects.filter(channel__in=_MAIL))


def first_due(rows: QuerySet[Any]) -> datetime | None:
    """Return when the next of some rows is due."""
    return rows.filter(state=_State.WAITING).order_by("next_at").values_list("next_at", flat=True).first()


@transaction.atomic
def claim[M: Outgoing](rows: QuerySet[M]) -> M | None:
    """Claim the due one of some rows that waited longest, and store when it is tried again without a result."""
    due = rows.filter(state=_State.WAITING, next_at__lte=clock.now())
    row = due.order_by("next_at", "pk").select_for_update(of=("self",), skip_locked=True).first()
    if row is None:
        return None
    row.attempts += 1
    row.next_at = clock.now() + _retry_delay(row.attempts)
    row.save(update_fields=["attempts", "next_at"])
    return row


def _retry_delay(attempts: int) -> timedelta:
    """Return how long to wait after so many attempts: twice as long each time, plus up to half of it at random."""
    doubled = min(_FIRST * (1 << min(attempts - 1, MOST_ATTEMPTS)), _LONGEST)
    return doubled * (1 + secrets.randbelow(500) / 1000)


def mine[M: Outgoing](claimed: M) -> QuerySet[M]:
    """Return the row, unless another worker has claimed it since."""
    rows: QuerySet[M] = type(claimed)._default_manager.all()  # noqa: SLF001 - Django's
    return rows.filter(pk=claimed.pk, state=_State.WAITING, attempts=claimed.attempts)


def _refused(claimed: Delivery, problem: smtplib.SMTPRecipientsRefused) -> None:
    code, response = next(iter(problem.recipients.values()), (0, b""))
    answer = f"{code} {response.decode(errors='replace')}"
    if code < _PERMANENT:
        failed(claimed, answer)
        return
    give_up(claimed, answer)
    mark_bad(claimed.person, by=SYSTEM, reason="The mail server says that there is no such address.")


def failed(claimed: Outgoing, answer: str) -> None:
    """Store the answer and leave the row for the next attempt, or give it up after the last one."""
    if claimed.attempts >= MOST_ATTEMPTS:
        give_up(claimed, answer)
    else:
        mine(claimed).update(answer=excerpt(answer))


def excerpt(answer: str) -> str:
    """Return an answer as it is kept: on one line, short, without anything of a secret's shape."""
    return " ".join(redaction.text(answer).split())[:300]


@transaction.atomic
def give_up(claimed: Outgoing, answer: str) -> None:
    """Stop trying a row until an administrator replays it."""
    if mine(claimed).update(state=_State.DEAD, answer=excerpt(answer)):
        attempts = {"attempts": claimed.attempts}
        log.record(Action.DELIVERY_GIVEN_UP, about=claimed.links(), by=SYSTEM, detail=attempts)


def replay(delivery_id: UUID, *, by: Principal, reason: str = "") -> Delivery:
    """Try again a delivery that was given up. Raises NotFound, NotGivenUp."""
    return retry(Delivery.objects.select_related("person"), delivery_id, by=by, reason=reason)


@transaction.atomic
def retry[M: Outgoing](rows: QuerySet[M], key: UUID, *, by: Principal, reason: str) -> M:
    """Try again the one of some rows that was given up. Raises NotFound, NotGivenUp."""
    row = rows.select_for_update(of=("self",)).filter(pk=key).first()
    if row is None:
        raise NotFound
    if row.state != _State.DEAD:
        raise NotGivenUp
    row.state, row.attempts, row.next_at = _State.WAITING, 0, clock.now()
    row.save(update_fields=["state", "attempts", "next_at"])
    log.record(Action.DELIVERY_REPLAYED, about=row.links(), by=by, reason=reason)
    return row


@transaction.atomic
def mark_bad(person: Person, *, by: Principal, reason: str) -> NoticeSettings:
    """Mail nothing to a person's current address any more, because mail came back; a new address is mailed again."""
    chosen, _made = NoticeSettings.objects.get_or_create(person=person)
    if chosen.bad_address != person.email:
        chosen.bad_address = person.email
        chosen.save(update_fields=["bad_address"])
        log.record(Action.PERSON_ADDRESS_BOUNCED, about=[f"person:{person.login}"], by=by, reason=reason)
    return chosen
