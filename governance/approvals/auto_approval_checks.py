"""What a rule approved, looked at by a person a week later: it stays, or is taken back."""

from __future__ import annotations

from http import HTTPStatus
from uuid import UUID

from django.db import transaction
from django.db.models import Exists, OuterRef, QuerySet, TextField, Value
from django.db.models.functions import Cast, Concat
from django.utils.translation import gettext as _

from audit import clock, log
from audit.actions import Action
from entitlements.conflicts import independence
from entitlements.errors import DomainError, NotFound
from entitlements.grants import grants
from entitlements.grants.models import Grant
from entitlements.people.models import Person
from entitlements.proposals.in_force import may
from governance.approval_policies.models import AutoApproval
from governance.notices import queue
from governance.notices.models import Kind, Notice
from governance.requests import facts as request_facts
from governance.requests import requests
from governance.reviews.campaigns.models import Campaign
from governance.reviews.event_triggered.models import ReviewTrigger

from . import facts, rules
from .auto_approval import MAY_PROPOSE, SelfConfirmationOfRule, people_behind


class LookedAt(DomainError):
    """Another person has checked it already."""

    code, status = "auto_approval_reviewed", HTTPStatus.CONFLICT


class TooEarly(DomainError):
    """What a rule approved is kept from a week afterwards on, and taken back at any time."""

    code, status = "auto_approval_too_early", HTTPStatus.CONFLICT


@transaction.atomic
def look(approval_id: UUID, *, by: Person, verdict: str, reason: str) -> AutoApproval:
    """Say of access that a rule gave whether it stays; `revoke` takes it back in the same transaction.

    Raises NotFound, Forbidden, ReasonRequired, LookedAt, SelfConfirmationOfRule for the two behind the rule, TooEarly
    for `keep` before the week is over, and the conflicts of interest of the person who looks, as of an approver.
    """
    may(by, reason, MAY_PROPOSE)
    rows = AutoApproval.objects.select_related("request__agent__sponsor__manager", "request__agent__owner")
    found = rows.filter(pk=approval_id).first()
    if found is None:
        raise NotFound
    if refusal := rules.conflict(facts.voice(by), request_facts.people_of(found.request)):
        raise refusal
    if stands_behind(found.pk, by):
        raise SelfConfirmationOfRule
    if verdict != AutoApproval.Verdict.REVOKE and clock.now() < found.look_from:
        raise TooEarly
    if not looked_at(found.pk, by=by, verdict=verdict, reason=reason):
        raise LookedAt
    live = Grant.objects.filter(request_id=found.request_id, ended_at=None).first()
    if verdict == AutoApproval.Verdict.REVOKE and live is not None:
        grants.revoke(live.pk, by=by.principal, reason=reason)
    found.refresh_from_db()
    return found


def stands_behind(approval_id: UUID, by: Person) -> bool:
    """Whether a person proposed or confirmed the rule that approved a request, by any of their accounts."""
    rows = AutoApproval.objects.select_related("rule__proposed_by", "rule__confirmed_by")
    return any(independence.same_human(by, each) for each in people_behind(rows.get(pk=approval_id).rule))


@transaction.atomic
def looked_at(approval_id: UUID, *, by: Person, verdict: str, reason: str) -> bool:
    """Write down that a person looked at what a rule approved; returns whether they were the first."""
    values = {"verdict": AutoApproval.Verdict(verdict), "looked_by": by, "looked_at": clock.now(), "finding": reason}
    if not AutoApproval.objects.filter(pk=approval_id, verdict="").update(**values):
        return False
    found = AutoApproval.objects.select_related("request__agent", "request__entitlement__system").get(pk=approval_id)
    detail = {"verdict": verdict, "rule": str(found.rule_id)}
    links = [*requests.about(found.request), f"grant:{found.request.grant_id}", f"approval_rule:{found.rule_id}"]
    log.record(Action.AUTO_APPROVAL_RULE_LOOKED_AT, about=links, by=by.principal, reason=reason, detail=detail)
    return True


def due(person: Person | None = None) -> QuerySet[AutoApproval]:
    """Return what is unchecked a week after a rule approved it, the oldest first; of other people's rules."""
    open_ones = AutoApproval.objects.filter(verdict="", look_from__lte=clock.now())
    if person is not None:
        own = independence.accounts_of(person)
        open_ones = open_ones.exclude(rule__proposed_by__in=own).exclude(rule__confirmed_by__in=own)
    around = open_ones.select_related(
        "request__agent", "request__entitlement", "rule__proposed_by", "rule__confirmed_by"
    )
    return around.order_by("look_from")


def tell_due() -> int:
    """Tell analysts and security of what is due, but not of their own rules nor where a small review asks; how many."""
    notices = 0
    lookers = list(Person.objects.holding(*MAY_PROPOSE))
    asked = ReviewTrigger.objects.filter(kind=ReviewTrigger.Kind.BY_RULE).exclude(state=ReviewTrigger.State.DROPPED)
    asked = asked.exclude(campaign__state__in=[Campaign.State.CLOSING, Campaign.State.CLOSED, Campaign.State.CANCELLED])
    elsewhere = {subject.removeprefix("grant:") for subject in asked.values_list("subject", flat=True)}
    dedupe = Concat(Value("rule approval "), Cast(OuterRef("pk"), TextField()))
    unnoticed = due().filter(~Exists(Notice.objects.filter(person__in=lookers, dedupe=dedupe)))  # a look may never come
    for each in unnoticed.iterator(chunk_size=500):
        if str(each.request.grant_id) in elsewhere:
            continue
        with transaction.atomic():
            notices += queue.queue(
                Kind.REVIEW_WAITING,
                [
                    who
                    for who in lookers
                    if not any(independence.same_human(who, own) for own in people_behind(each.rule))
                ],
                about=f"request:{each.request_id}",
                sentence=_("A rule approved %(what)s for %(agent)s a week ago: look at it.")
                % {"what": each.request.entitlement.name, "agent": each.request.agent.name},
                url="/settings/approvals/",
                dedupe=f"rule approval {each.pk}",
            )
    return notices
