"""Pages of SoD policies: the list, one policy with its violations and exceptions, and the decisions."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import timedelta
from http import HTTPStatus
from typing import Any, Final
from uuid import UUID

from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy
from django.views.decorators.http import require_POST, require_safe

from audit import clock
from entitlements.access import visibility
from entitlements.errors import Malformed, NotFound
from governance.console import doors, form_fields, paging, tags
from governance.sod import actions, check
from governance.sod import queries as sod_queries
from governance.sod.models import SodException, SodPolicy

State = SodPolicy.State
_SAYS: Final = {
    "systems": gettext_lazy("in the system"),
    "tools": gettext_lazy("named"),
    "actions": gettext_lazy("that"),
    "risk_at_least": gettext_lazy("with a risk level of at least"),
    "data_classes": gettext_lazy("with data of the class"),
    "flows": gettext_lazy("that"),
}
_MOST_DAYS: Final = 180


def words(sides: Iterable[Mapping[str, Any]]) -> list[list[tuple[Any, str]]]:
    """Return in words which tools belong to each side."""
    return [
        [
            (label, _word(name, [value] if isinstance(value, str) else value))
            for name, label in _SAYS.items()
            if (value := side.get(name))
        ]
        for side in sides
    ]


def _word(name: str, values: Iterable[str]) -> str:
    """Join values in words. A tool must have all the flows, and any one of the other values."""
    if name == "flows":
        return _(" and ").join(str(sod_queries.LABELS[value]).lower() for value in values)
    return _(" or ").join(tags.does(value).lower() if name == "actions" else value for value in values)


@require_safe
@doors.page
def listing(request: HttpRequest) -> HttpResponse:
    """List the policies in force and proposed."""
    caller = doors.caller(request)
    now = SodPolicy.objects.filter(state__in=[State.IN_FORCE, State.PROPOSED]).order_by("name", "number")
    context = {
        "rules": [(rule, words(rule.sides)) for rule in now],
        "may_propose": doors.may(caller, "sod-policies", None),
    }
    return render(request, "console/sod/rules.html", context)


@require_POST
@doors.page
def propose(request: HttpRequest) -> HttpResponse:
    """Propose that a policy in force is turned on or off."""
    doors.permit(request, "sod-policies", None)
    rule = SodPolicy.objects.filter(name=request.POST.get("name", ""), state=State.IN_FORCE).first()
    if rule is None:
        raise NotFound
    values = {"name": rule.name, "sentence": rule.sentence, "sides": rule.sides, "on": not rule.on}
    proposed = doors.perform(request, actions.PROPOSE, None, {**values, "reason": doors.reason(request)})
    return redirect("rule-page", proposed.result.pk)


@require_safe
@doors.page
def detail(request: HttpRequest, pk: UUID) -> HttpResponse:
    """Show one version of a rule, its current violations, also before it is in force, and its exceptions."""
    caller, rule = doors.caller(request), _rule(request, pk)
    count, broken = check.violating(rule.sides)
    waits = rule.state == State.PROPOSED
    in_force = rule.state == State.IN_FORCE
    given = SodException.objects.filter(rule=rule).select_related("agent", "given_by")
    context = {
        "rule": rule,
        "waits": waits,
        "page": paging.page(request, given, ("-given_at", "-id")),
        "may_end": doors.may(caller, "sod-exception-end", None),
        "sides": words(rule.sides),
        "count": count,
        "broken": broken,
        "splits": check.splits(rule.sides),
        "may_publish": waits
        and rule.proposed_by_id != doors.person(request).pk
        and doors.may(caller, "sod-policy-publish", rule),
        "may_withdraw": waits and doors.may(caller, "sod-policy-withdraw", rule),
        "may_turn": in_force and doors.may(caller, "sod-policies", None),
        "may_except": in_force and rule.on and doors.may(caller, "sod-exceptions", None),
        "most_days": _MOST_DAYS,
        "asked_for": visibility.agents(caller).filter(slug=request.GET.get("agent", "").strip()).first(),
    }
    return render(request, "console/sod/rule.html", context, status=HTTPStatus.OK)


publish = doors.post(actions.PUBLISH, lambda rule: reverse("rule-page", args=[rule.pk]))
withdraw = doors.post(actions.WITHDRAW, lambda _rule: reverse("rule-list"))


@require_POST
@doors.page
def give(request: HttpRequest, pk: UUID) -> HttpResponse:
    """Except an agent from a rule for some days."""
    rule = _rule(request, pk)
    values = {
        "rule_id": pk,
        "agent": form_fields.agent(request),
        "control": request.POST.get("control", "").strip()[:500],
        "expires_at": clock.now() + timedelta(days=_days(request)),
        "reason": doors.reason(request),
        "ticket": doors.ticket(request),
    }
    doors.perform(request, actions.GIVE_EXCEPTION, rule, values)
    return redirect(_exceptions_of(pk))


def _exceptions_of(pk: UUID) -> str:
    return reverse("rule-page", args=[pk]) + "#exceptions"


def _days(request: HttpRequest) -> int:
    days = request.POST.get("days", "")
    if not (days.isascii() and days.isdecimal()) or not 1 <= int(days[:4]) <= _MOST_DAYS:
        raise Malformed(_("An exception lasts 1 to 180 days."))
    return int(days[:4])


end = doors.post(actions.END_EXCEPTION, lambda exception: _exceptions_of(exception.rule_id))


def _rule(request: HttpRequest, pk: UUID) -> SodPolicy:
    rule: SodPolicy = doors.find_subject(request, actions.POLICY, pk)
    return rule
