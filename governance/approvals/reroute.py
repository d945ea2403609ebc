"""Finding the people of waiting stages again: after a person left or moved, and when no answer came in time."""

from __future__ import annotations

from dataclasses import replace
from uuid import UUID

from django.db import transaction
from django.db.models import DateTimeField, ExpressionWrapper, F

from audit import clock, log
from audit.actions import Action
from audit.context import SYSTEM, Principal
from entitlements.people.models import Person
from governance.approvals.models import Approval
from governance.conflicts_of_interest import routing, rules
from governance.requests import facts, requests
from governance.requests.models import AccessRequest

from . import events


@transaction.atomic
def reroute(request_id: UUID, *, by: Principal = SYSTEM, reason: str) -> bool:
    """Find the people of the waiting stages again, after a person left or changed their role; returns whether it did.

    A person who answered is not asked again. Where no person is left the stage waits for none, and the request ends
    when its time is over. A decided request is left alone.
    """
    request = requests.locked(request_id)
    if request.state != AccessRequest.State.IN_APPROVAL:
        return False
    changed = _resolve_again(request)
    if changed:
        requests.save(request)
        with requests.trace_of(request):
            log.record(
                Action.APPROVAL_REROUTED,
                about=requests.about(request),
                by=by,
                reason=reason,
                detail={"waiting_for": changed},
            )
    return bool(changed)


@transaction.atomic
def escalate(request_id: UUID) -> bool:
    """Ask the next in the chain of each waiting stage as well, once; returns whether anyone was added.

    Those who were asked before may still answer. A decided request is left alone, and so is a stage that was widened.
    """
    request = requests.locked(request_id)
    if request.state != AccessRequest.State.IN_APPROVAL:
        return False
    changed = _resolve_again(request, wider=True)
    if changed:
        requests.save(request)
        with requests.trace_of(request):
            log.record(
                Action.APPROVAL_ESCALATED,
                about=requests.about(request),
                by=SYSTEM,
                reason="Half the time to answer is over.",
                detail={"waiting_for": changed},
            )
    return bool(changed)


def escalate_due() -> int:
    """Escalate what waits in vain since half of its time, and return how many requests others were added to."""
    half = F("asked_at") + (F("answer_by") - F("asked_at")) / 2
    waiting = AccessRequest.objects.filter(state=AccessRequest.State.IN_APPROVAL).annotate(
        half=ExpressionWrapper(half, DateTimeField())
    )
    unasked = Approval.objects.filter(answer=Approval.Answer.WAITING).exclude(resolution__has_key="widened")
    due = waiting.filter(half__lte=clock.now(), pk__in=unasked.values("request")).order_by("answer_by")
    return sum(escalate(request_id) for request_id in due.values_list("pk", flat=True))


def _resolve_again(request: AccessRequest, *, wider: bool = False) -> dict[str, list[str]]:
    """Put the people of each waiting stage right, and return those of the stages that changed.

    Where distinct people cannot be found for all of them, each stage only loses those who may no longer answer. With
    `wider` every stage is also asked of the next of its chain; what was widened before stays so.
    """
    asked = request.approvals.order_by("position").prefetch_related("waiting_for")
    stages = list(asked.select_related("by", "in_place_of"))
    waiting = [stage for stage in stages if stage.answer == Approval.Answer.WAITING]
    answered = frozenset(who.login for stage in stages for who in (stage.by, stage.in_place_of) if who)
    people = replace(facts.people_of(request), answered=answered)
    routes = routing.approvers([stage.stage for stage in waiting], people)
    dead_end = routing.unassigned(routes)
    if dead_end is None:
        places = [place for place, stage in enumerate(waiting) if wider or "widened" in stage.resolution]
        routes = routing.widen(routes, places, people)
    changed = []
    for place, stage in enumerate(waiting):
        before = sorted(person.login for person in stage.waiting_for.all())
        known = "widened" in stage.resolution
        if dead_end:
            after = [who for who in before if rules.skip_reason(who, people) is None]
            stage.resolution |= {"widened": ""} if wider else {}
        else:
            after, passed = sorted(routes[place].asked), stage.resolution.get("passed_on")
            stage.resolution = routes[place].as_evidence(clock.now(), chosen=after)
            if passed:
                after = sorted(routing.passed_on(before, routes[place], people))
                stage.resolution["passed_on"] = passed
        if after != before or (wider and not known):
            stage.save(update_fields=["resolution"])
        if after != before:
            stage.waiting_for.set(Person.objects.filter(login__in=after))
            changed.append((stage.stage, after))
    return events.by_stage(changed)
