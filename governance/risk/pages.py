"""Risk signals: the list, one signal with what people decide, how each kind is answered, and the detectors of drift."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final
from uuid import UUID

from django import forms
from django.db.models import Q
from django.http import HttpRequest, HttpResponse
from django.http.response import HttpResponseBase
from django.shortcuts import redirect, render
from django.utils.safestring import SafeString
from django.utils.translation import gettext_lazy
from django.views.decorators.http import require_http_methods, require_POST, require_safe

from entitlements.access import visibility
from entitlements.drift import api as drift
from entitlements.drift import replay
from entitlements.drift import rules as drift_rules
from entitlements.drift.rules import Detector
from entitlements.risk import actions, response_policy
from entitlements.risk.models import RiskSignal, SignalResponse
from entitlements.risk.rules import Kind, Policy
from governance.console import doors, form_fields
from governance.console.kit.lists import cells, lists
from governance.console.kit.lists.layout import Choice, Column, Facet, Layout, View
from governance.risk import words

DAYS: Final = (7, 28, 90)
"""Over how many days a page offers to replay a detector of drift."""
BUTTONS: Final = {"confirm": actions.CONFIRM_COMPROMISED, "safe": actions.CONFIRM_SAFE, "dismiss": actions.DISMISS}
DECISIONS: Final = {"confirm": actions.CONFIRM, "withdraw": actions.WITHDRAW}
_FIELDS: Final = {"signal_response_proposed_already": "kind", "signal_response_unchanged": "response"}


def _about(row: RiskSignal) -> SafeString:
    if row.agent is not None:
        return cells.link("agent__name", "agent-page", "agent__slug", sub=lambda _row: gettext_lazy("agent"))(row)
    if row.person is not None:
        return cells.link("person__name", "person-page", "person__login", sub=lambda _row: gettext_lazy("person"))(row)
    return cells.link("session__agent__name", "session-page", "session_id", sub=lambda _row: gettext_lazy("session"))(
        row
    )


def _state(row: RiskSignal) -> Any:  # noqa: ANN401 - a text, or its translation later
    return words.STATES[row.state]


_DECIDED: Final = (
    Choice("open", words.STATES["open"], Q(decision=None)),
    *(Choice(name, words.STATES[name], Q(decision__verdict=name)) for name in ("compromised", "safe", "dismissed")),
)
LAYOUT: Final[Layout[RiskSignal, RiskSignal]] = Layout(
    name="risk-signals",
    label=gettext_lazy("Risk signals"),
    columns=(
        Column(
            "kind",
            gettext_lazy("Signal"),
            "kind",
            cell=cells.link(lambda row: words.KINDS[row.kind], "risk-signal-page", "pk", sub="reason"),
            main=True,
        ),
        Column("about", gettext_lazy("About"), lambda row: row.about, cell=_about),
        Column("level", gettext_lazy("Risk level"), "subject_level", cell=cells.risk("subject_level")),
        Column("response", gettext_lazy("Response"), "response", cell=lambda row: words.RESPONSES[row.response]),
        Column("outcome", gettext_lazy("Outcome"), "outcome", cell=lambda row: words.OUTCOMES[row.outcome]),
        Column("noted", gettext_lazy("Noted"), "noted_at", sorts="noted_at"),
        Column("state", gettext_lazy("Decision"), lambda row: row.state, cell=_state),
        Column("source", gettext_lazy("Source"), "source", usual=False),
        Column("at", gettext_lazy("Happened"), "at", usual=False),
        Column("id", gettext_lazy("Identifier"), "pk", cell=cells.code("pk"), usual=False),
    ),
    order="-noted",
    facets=(
        Facet("kind", gettext_lazy("Signal"), "kind", choices=[*words.KINDS.items()], many=True),
        Facet("state", gettext_lazy("Decision"), choices=_DECIDED),
        Facet("outcome", gettext_lazy("Outcome"), "outcome", choices=[*words.OUTCOMES.items()]),
        Facet("agent", gettext_lazy("Agent"), "agent__slug", reference="agent"),
        Facet("person", gettext_lazy("Person"), "person__login", reference="person"),
    ),
    search=("agent__slug", "agent__name", "person__login", "person__name", "source"),
    search_label=gettext_lazy("Agent, person or source"),
    views=(
        View("open", gettext_lazy("Open"), "state=open"),
        View("observed", gettext_lazy("Would have been done"), "outcome=observed"),
    ),
    empty=gettext_lazy("No signals. Nothing about an agent, a person or a session pointed to a risk."),
)


@require_safe
@doors.page
def listing(request: HttpRequest) -> HttpResponseBase:
    """List the signals that the person sees, the newest first."""
    return lists.show(request, LAYOUT, visibility.risk_signals(doors.caller(request)), "console/risk/signals.html")


@require_http_methods(["GET", "HEAD", "POST"])
@doors.page
def detail(request: HttpRequest, signal: UUID) -> HttpResponse:
    """Show one signal; with a button, decide about it."""
    row = doors.find_subject(request, actions.SIGNAL, signal)
    if request.method == "POST":
        doors.perform(request, doors.pressed(request, BUTTONS), row)
        return redirect("risk-signal-page", signal)
    caller = doors.caller(request)
    context = {
        "row": row,
        "kind": words.KINDS[row.kind],
        "response": words.RESPONSES[row.response],
        "mode": words.MODES[row.mode],
        "outcome": words.OUTCOMES[row.outcome],
        "state": words.STATES[row.state],
        "may_confirm": row.state == "open" and doors.may(caller, "risk-confirm", row),
        "may_dismiss": row.state == "open" and doors.may(caller, "risk-dismiss", row),
    }
    return render(request, "console/risk/signal.html", context)


@dataclass(frozen=True, slots=True)
class ShownKind:
    """How one kind of signal is answered now, and what is proposed instead."""

    kind: str
    name: Any
    response: Any
    mode: Any
    agreed: SignalResponse | None
    proposed: SignalResponse | None
    then_response: Any
    then_mode: Any
    may_confirm: bool


@require_safe
@doors.page
def responses(request: HttpRequest) -> HttpResponse:
    """Show how each kind of signal is answered, and what waits for a second person."""
    caller, me = doors.caller(request), doors.person(request)
    known = visibility.signal_responses(caller).filter(state__in=["proposed", "in_force"])
    rows = {(row.kind, row.state): row for row in known}
    may = doors.may(caller, "signal-response-confirm", None)
    shown = []
    for kind in Kind:
        policy, proposed = response_policy.current(kind), rows.get((kind, "proposed"))
        shown.append(_shown(kind, policy, rows.get((kind, "in_force")), proposed, may=may and _is_other(proposed, me)))
    context = {"kinds": shown, "may_propose": doors.may(caller, "signal-responses", None)}
    return render(request, "console/risk/responses.html", context)


def _is_other(proposed: SignalResponse | None, me: object) -> bool:
    return proposed is not None and proposed.proposed_by != me


def _shown(
    kind: Kind, policy: Policy, agreed: SignalResponse | None, proposed: SignalResponse | None, *, may: bool
) -> ShownKind:
    return ShownKind(
        kind.value,
        words.KINDS[kind],
        words.RESPONSES[policy.response],
        words.MODES[policy.mode],
        agreed,
        proposed,
        words.RESPONSES[proposed.response] if proposed else "",
        words.MODES[proposed.mode] if proposed else "",
        may,
    )


class ResponseForm(forms.Form):
    """How one kind of signal is answered."""

    kind = forms.ChoiceField(label=gettext_lazy("Signal"), choices=[*words.KINDS.items()])
    response = forms.ChoiceField(
        label=gettext_lazy("Response"),
        choices=[*words.RESPONSES.items()],
        help_text=gettext_lazy(
            "Calls cannot wait for a person yet: held calls are denied, with a request link, until someone decides."
        ),
    )
    mode = forms.ChoiceField(
        label=gettext_lazy("Mode"),
        choices=[*words.MODES.items()],
        widget=forms.RadioSelect,
        help_text=gettext_lazy("Observe shows what would have been done. Enforce does it."),
    )
    reason = forms.CharField(label=gettext_lazy("Reason"), max_length=500)


@require_http_methods(["GET", "HEAD", "POST"])
@doors.page
def propose(request: HttpRequest) -> HttpResponse:
    """Propose how one kind of signal is answered; another person confirms it."""
    kind = request.GET.get("kind", Kind.SESSION_REVOKED.value)
    now = response_policy.current(kind) if kind in {*Kind} else response_policy.current(Kind.SESSION_REVOKED)
    initial = {"kind": kind, "response": now.response.value, "mode": now.mode.value}
    form = ResponseForm(request.POST if request.method == "POST" else None, initial=initial)
    if request.method == "POST" and form_fields.perform(request, form, actions.PROPOSE, fields=_FIELDS):
        return redirect("signal-responses-page")
    return form_fields.show(request, "console/risk/propose.html", form, {})


@require_POST
@doors.page
def decide(request: HttpRequest, response: UUID) -> HttpResponse:
    """Confirm or withdraw what was proposed."""
    found = doors.find_subject(request, actions.RESPONSE, response)
    doors.perform(request, doors.pressed(request, DECISIONS), found)
    return redirect("signal-responses-page")


@dataclass(frozen=True, slots=True)
class ShownDetector:
    """A detector in words, and how it is answered now."""

    row: Detector
    title: Any
    formula: Any
    response: Any
    mode: Any
    signals: int


@require_safe
@doors.page
def drift_detectors(request: HttpRequest) -> HttpResponse:
    """Show every detector of drift, how it is answered, and how many signals it has noted."""
    context = {"detectors": [_detector(each) for each in drift_rules.DETECTORS], "may_propose": _may_propose(request)}
    return render(request, "console/risk/drift.html", context)


@require_safe
@doors.page
def drift_detector(request: HttpRequest, detector: str) -> HttpResponse:
    """Replay one detector over the last days."""
    found = replay.run(drift.named(detector), drift.days_of(request.GET.get(drift.DAYS, "")))
    context = {
        "shown": _detector(found.detector),
        "found": found,
        "days": sorted({*DAYS, found.days}),
        "may_propose": _may_propose(request),
    }
    return render(request, "console/risk/drift_replay.html", context)


def _may_propose(request: HttpRequest) -> bool:
    return doors.may(doors.caller(request), "signal-responses", None)


def _detector(detector: Detector) -> ShownDetector:
    policy = response_policy.current(detector.kind)
    return ShownDetector(
        detector,
        words.KINDS[detector.kind],
        words.FORMULAS[detector.kind],
        words.RESPONSES[policy.response],
        words.MODES[policy.mode],
        RiskSignal.objects.filter(kind=detector.kind).count(),
    )
