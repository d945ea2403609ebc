"""Guardrails: which are in force, what waits for a second person, what observing ones found, and the form."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final
from uuid import UUID

from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.views.decorators.http import require_http_methods, require_POST, require_safe

from entitlements.guardrails.models import GuardrailVersion
from governance.console import doors, form_fields
from governance.guardrails import actions, proposals, queries
from governance.guardrails.models import GuardrailProposal
from governance.guardrails.pages import forms
from governance.what_if import actions as what_if_actions

_MOST_SHOWN: Final = 200
_MOST_VERSIONS: Final = 20
State, Mode = GuardrailProposal.State, GuardrailVersion.Mode


@dataclass(frozen=True, slots=True)
class ShownGuardrail:
    """A version, its terms in words, and how many calls it would have changed where it observes."""

    row: GuardrailProposal
    terms: list[queries.Term]
    observed: int | None = None


@require_safe
@doors.page
def listing(request: HttpRequest) -> HttpResponse:
    """Show which guardrails are in force, and what waits for a second person."""
    rows = GuardrailProposal.objects.select_related("proposed_by", "confirmed_by")
    current = list(rows.filter(state=State.IN_FORCE).exclude(mode=Mode.OFF).order_by("name", "id")[:_MOST_SHOWN])
    counts = queries.observed_calls([row.version for row in current if row.mode == Mode.OBSERVE and row.version])
    by_key = {row.key: row for row in current}
    context = {
        "in_force": [
            ShownGuardrail(
                row, queries.terms(row), counts.get(row.version or 0, 0) if row.mode == Mode.OBSERVE else None
            )
            for row in current
        ],
        "proposed": [
            ShownGuardrail(row, queries.terms(row, by_key.get(row.key)))
            for row in rows.filter(state=State.PROPOSED).order_by("proposed_at", "id")[:_MOST_SHOWN]
        ],
        "days": queries.DAYS,
        "may_propose": doors.may(doors.caller(request), "guardrails", None),
    }
    return render(request, "console/guardrails/guardrails.html", context)


@require_safe
@doors.page
def detail(request: HttpRequest, guardrail: UUID) -> HttpResponse:
    """Show one version: its terms, its replay, what it observed, and the versions before and after it."""
    row = doors.find_subject(request, actions.GUARDRAIL, guardrail)
    caller, me = doors.caller(request), doors.person(request)
    is_open, is_on = row.state == State.PROPOSED, row.state == State.IN_FORCE and row.mode != Mode.OFF
    before = proposals.in_force(row.key) if is_open else None
    versions = GuardrailProposal.objects.filter(key=row.key).order_by("-proposed_at", "-id")
    context: dict[str, Any] = {
        "row": row,
        "terms": queries.terms(row),
        "changes": queries.terms(row, before) if before else None,
        "replayed": queries.replayed(row),
        "observed": queries.observed(row.version) if row.version and row.mode == Mode.OBSERVE else None,
        "days": queries.DAYS,
        "versions": versions.select_related("proposed_by", "confirmed_by")[:_MOST_VERSIONS],
        "may_confirm": is_open and row.proposed_by != me and doors.may(caller, "guardrail-confirm", row),
        "may_withdraw": is_open and doors.may(caller, "guardrail-withdraw", row),
        "may_replay": is_open and doors.may(caller, "guardrail-replay", row),
        "may_end": is_on and doors.may(caller, "guardrail-end", row),
        "wants_reason": row.mode == Mode.ENFORCE and not row.is_replayed,
        "is_on": is_on,
    }
    return render(request, "console/guardrails/guardrail.html", context)


@require_http_methods(["GET", "HEAD", "POST"])
@doors.page
def propose(request: HttpRequest) -> HttpResponse:
    """Propose a guardrail, or with `of` other terms for one; another person confirms it."""
    initial: dict[str, Any] = {"mode": Mode.OBSERVE.value}
    if (of := request.GET.get("of", "")) and (current := proposals.in_force(of)):
        initial = forms.initial(current)
    form = forms.GuardrailForm(request.POST if request.method == "POST" else None, initial=initial)
    if request.method == "POST":
        fields = {"guardrail_proposed_already": "name", "guardrail_unchanged": "name"}
        if "replay" in request.POST:
            ask = what_if_actions.BEGIN
            if asked := form_fields.perform(request, form, ask, fields={}, values=lambda _given: form.change()):
                return redirect("what-if-page", asked.result.pk)
        elif done := form_fields.perform(
            request, form, actions.PROPOSE, fields=fields, values=lambda _given: form.values()
        ):
            return redirect("guardrail-page", done.result.pk)
    may_replay = doors.may(doors.caller(request), "decisions-what-if", None)
    return form_fields.show(request, "console/guardrails/propose.html", form, {"of": of, "may_replay": may_replay})


BUTTONS: Final = {
    "confirm": actions.CONFIRM,
    "replay": actions.REPLAY,
    "withdraw": actions.WITHDRAW,
    "end": actions.END,
}


@require_POST
@doors.page
def decide(request: HttpRequest, guardrail: UUID) -> HttpResponse:
    """Replay, confirm or withdraw a proposal, or propose the end of a guardrail."""
    found = doors.find_subject(request, actions.GUARDRAIL, guardrail)
    doors.perform(request, doors.pressed(request, BUTTONS), found)
    return redirect("guardrail-page", guardrail)
