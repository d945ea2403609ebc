"""Rules on combinations: the list with its exceptions, one rule and who holds what it forbids, and what is decided."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import timedelta
from http import HTTPStatus
from typing import Any, Final
from uuid import UUID

from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy
from django.views.decorators.http import require_POST, require_safe

from audit import clock
from entitlements.access import visibility
from entitlements.errors import Malformed, NotFound
from governance.console import doors, paging, tags
from governance.request_suggestions import queries as request_suggestion_queries
from governance.sod import check, exceptions, policies
from governance.sod import rules as sod_rules
from governance.sod.models import CombinationException, CombinationRule

State = CombinationRule.State
_SAYS: Final = {
    "systems": gettext_lazy("in the system"),
    "tools": gettext_lazy("named"),
    "actions": gettext_lazy("that"),
    "risk_at_least": gettext_lazy("whose risk is at least"),
    "data_classes": gettext_lazy("whose data is"),
    "flows": gettext_lazy("that"),
}
_MOST_DAYS: Final = 180


def words(sides: Iterable[Mapping[str, Any]]) -> list[list[tuple[Any, str]]]:
    """Say for each side what a tool must be to stand on it."""
    return [
        [
            (label, _word(name, [said] if isinstance(said, str) else said))
            for name, label in _SAYS.items()
            if (said := side.get(name))
        ]
        for side in sides
    ]


def _word(name: str, said: Iterable[str]) -> str:
    """Say what a tool does in our words, names as they are. One tool has all its flows, and any of the rest."""
    if name == "flows":
        return _(" and ").join(str(request_suggestion_queries.LABELS[each]).lower() for each in said)
    return _(" or ").join(tags.does(each).lower() if name == "actions" else each for each in said)


@require_safe
@doors.page
def listing(request: HttpRequest) -> HttpResponse:
    """List the rules in force and proposed, those to begin with, and the register of exceptions."""
    caller = doors.caller(request)
    now = CombinationRule.objects.filter(state__in=[State.PUBLISHED, State.PROPOSED]).order_by("name", "number")
    known = set(CombinationRule.objects.values_list("name", flat=True))
    given = CombinationException.objects.select_related("rule", "agent", "given_by")
    told = {
        "rules": [(rule, words(rule.sides)) for rule in now],
        "starters": [(each, words(each.sides)) for each in sod_rules.STARTERS if each.name not in known],
        "page": paging.page(request, given, ("-given_at", "-id")),
        "may_propose": doors.may(caller, "combination-rules", None),
        "may_end": doors.may(caller, "combination-exception-end", None),
    }
    return render(request, "console/sod/rules.html", told)


@require_POST
@doors.page
def propose(request: HttpRequest) -> HttpResponse:
    """Propose a rule to begin with, or that one in force is on or off."""
    doors.permit(request, "combination-rules", None)
    by, reason = doors.person(request), doors.reason(request)
    starter = next((each for each in sod_rules.STARTERS if each.name == request.POST.get("starter")), None)
    if starter is not None:
        sides = [dict(side) for side in starter.sides]
        made = policies.propose(starter.name, sentence=starter.sentence, sides=sides, by=by, reason=reason)
    else:
        rule = CombinationRule.objects.filter(name=request.POST.get("name", ""), state=State.PUBLISHED).first()
        if rule is None:
            raise NotFound
        made = policies.propose(
            rule.name, sentence=rule.sentence, sides=rule.sides, on=not rule.on, by=by, reason=reason
        )
    doors.done(request, _("Proposed. Another person puts it in force."))
    return redirect(f"/rules/{made.pk}/")


@require_safe
@doors.page
def one(request: HttpRequest, pk: UUID) -> HttpResponse:
    """Show one version of a rule, and who holds today what it forbids: before it is in force as well."""
    caller, rule = doors.caller(request), _rule(request, pk)
    count, broken = check.who_would_break(rule.sides)
    waits = rule.state == State.PROPOSED
    in_force = rule.state == State.PUBLISHED
    told = {
        "rule": rule,
        "sides": words(rule.sides),
        "count": count,
        "broken": broken,
        "splits": check.splits(rule.sides),
        "may_publish": waits
        and rule.proposed_by_id != doors.person(request).pk
        and doors.may(caller, "combination-rule-publish", rule),
        "may_withdraw": waits and doors.may(caller, "combination-rule-withdraw", rule),
        "may_turn": in_force and doors.may(caller, "combination-rules", None),
        "may_except": in_force and rule.on and doors.may(caller, "combination-exceptions", None),
        "most_days": _MOST_DAYS,
        "asked_for": request.GET.get("agent", "").strip()[:64],
    }
    return render(request, "console/sod/rule.html", told, status=HTTPStatus.OK)


@require_POST
@doors.page
def publish(request: HttpRequest, pk: UUID) -> HttpResponse:
    """Put a proposed version in force, as a second person."""
    rule = _rule(request, pk)
    doors.permit(request, "combination-rule-publish", rule)
    policies.publish(pk, by=doors.person(request), reason=doors.reason(request))
    doors.done(request, _("In force from now on."))
    return redirect(f"/rules/{pk}/")


@require_POST
@doors.page
def withdraw(request: HttpRequest, pk: UUID) -> HttpResponse:
    """Drop a proposed version."""
    rule = _rule(request, pk)
    doors.permit(request, "combination-rule-withdraw", rule)
    policies.withdraw(pk, by=doors.person(request), reason=doors.reason(request))
    doors.done(request, _("Withdrawn."))
    return redirect("/rules/")


@require_POST
@doors.page
def give(request: HttpRequest, pk: UUID) -> HttpResponse:
    """Except an agent from a rule for some days."""
    rule = _rule(request, pk)
    doors.permit(request, "combination-exceptions", rule)
    agent = doors.find(visibility.agents(doors.caller(request)), slug=request.POST.get("agent", "").strip())
    exceptions.give(
        pk,
        agent,
        control=request.POST.get("control", "").strip()[:500],
        expires_at=clock.now() + timedelta(days=_days(request)),
        by=doors.person(request),
        reason=doors.reason(request),
    )
    doors.done(request, _("The exception holds until its end, and what it covers no longer."))
    return redirect("/rules/")


def _days(request: HttpRequest) -> int:
    given = request.POST.get("days", "")
    if not (given.isascii() and given.isdecimal()) or not 1 <= int(given[:4]) <= _MOST_DAYS:
        raise Malformed(_("An exception lasts 1 to 180 days."))
    return int(given[:4])


@require_POST
@doors.page
def end(request: HttpRequest, pk: UUID) -> HttpResponse:
    """End an exception; within a minute what it covered is suspended."""
    found = doors.find(CombinationException.objects.select_related("rule", "agent"), pk=pk)
    doors.about(request, *exceptions.about(found))
    doors.permit(request, "combination-exception-end", found)
    exceptions.end(pk, by=doors.person(request), reason=doors.reason(request))
    doors.done(request, _("Ended. What it covered is suspended within a minute."))
    return redirect("/rules/")


def _rule(request: HttpRequest, pk: UUID) -> CombinationRule:
    found = doors.find(CombinationRule.objects.select_related("proposed_by", "published_by"), pk=pk)
    doors.about(request, *policies.about(found))
    return found
