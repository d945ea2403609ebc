"""Exceptions from a removal whose verification failed, made by a second person for a limited time."""

from __future__ import annotations

from datetime import datetime
from uuid import UUID

from django.db import IntegrityError, transaction

from audit import clock, log
from audit.actions import Action
from audit.context import SYSTEM, Principal
from entitlements.errors import NotFound, ReasonRequired
from entitlements.people.models import Person
from governance.reviews.items import best_effort, item_links, review_rules
from governance.reviews.items.errors import ConflictOfInterest, ExceptionTooLong, NotFailed
from governance.reviews.remediation.models import Remediation, RemediationException
from governance.reviews.reviewers import assignment
from governance.reviews.reviewers import facts as reviewer_facts


@transaction.atomic
def make(decision_id: UUID, *, control: str, expires_at: datetime, by: Person, reason: str) -> RemediationException:
    """Except a failed removal until a day; `control` is the mitigating control until then.

    Raises ReasonRequired, NotFound, NotFailed, ExceptionTooLong, and ConflictOfInterest for the reviewer who decided
    and for a person who may not decide the item.
    """
    if not reason.strip() or not control.strip():
        raise ReasonRequired
    remediation = _locked(decision_id)
    if remediation.state != Remediation.State.FAILED:
        raise NotFailed
    item = remediation.decision.item_id
    why = assignment.against(by, reviewer_facts.people_of(item, review_rules.SECOND))
    if why is not None:
        raise ConflictOfInterest(who=by.login, why=why.value)
    now = clock.now()
    if not now < expires_at <= now + RemediationException.LONGEST:
        raise ExceptionTooLong
    try:
        with transaction.atomic():
            exception = RemediationException.objects.create(
                remediation=remediation, by=by, reason=reason, control=control, made_at=now, expires_at=expires_at
            )
    except IntegrityError as error:
        raise ConflictOfInterest(who=by.login) from error
    remediation.state = Remediation.State.EXCEPTED
    remediation.save(update_fields=["state"])
    detail = {"control": control, "expires_at": expires_at.isoformat()}
    log.record(Action.REMEDIATION_EXCEPTED, about=_about(remediation), by=by.principal, reason=reason, detail=detail)
    return exception


def end_due() -> int:
    """End the exceptions whose day has come, so that their removals are verified again; return how many."""
    due = RemediationException.objects.filter(ended_at=None, expires_at__lte=clock.now()).order_by("expires_at", "pk")
    return len(best_effort.for_each(list(due.values_list("remediation", flat=True)[:500]), _end))


@transaction.atomic
def _end(decision_id: UUID) -> None:
    remediation = _locked(decision_id)
    if not _stop(remediation, by=SYSTEM, reason="The time of the exception is over."):
        return  # another worker has ended it
    if remediation.state == Remediation.State.EXCEPTED:
        remediation.state, remediation.not_before = Remediation.State.FAILED, clock.now()
        remediation.save(update_fields=["state", "not_before"])


def end_with(remediation: Remediation, *, by: Principal) -> None:
    """End the exception of a removal that was undone, within the caller's transaction."""
    _stop(remediation, by=by, reason="The removal was taken back.")


def _stop(remediation: Remediation, *, by: Principal, reason: str) -> bool:
    standing = RemediationException.objects.filter(remediation=remediation, ended_at=None)
    if not standing.update(ended_at=clock.now()):
        return False
    log.record(Action.REMEDIATION_EXCEPTION_ENDED, about=_about(remediation), by=by, reason=reason)
    return True


def _locked(decision_id: UUID) -> Remediation:
    rows = Remediation.objects.select_for_update(of=("self",)).select_related("decision__item__campaign")
    remediation = rows.select_related("decision__item__agent", "decision__item__system").filter(pk=decision_id).first()
    if remediation is None:
        raise NotFound
    return remediation


def _about(remediation: Remediation) -> list[str]:
    return [*item_links.about(remediation.decision.item), f"decision:{remediation.decision_id}"]
