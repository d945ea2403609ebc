"""Onboarding pages: bring a file, ask sponsors, answer, confirm; decide about unmanaged agents."""

from __future__ import annotations

from typing import Any, Final
from uuid import UUID

from django import forms
from django.http import HttpRequest, HttpResponse
from django.http.response import HttpResponseBase
from django.shortcuts import redirect, render
from django.utils.translation import gettext_lazy
from django.views.decorators.http import require_http_methods, require_POST, require_safe

from entitlements.api.actions import Action
from entitlements.unmanaged_agents.models import UnmanagedAgent
from governance.console import doors, form_fields, paging
from governance.console.kit.lists import cells, lists
from governance.console.kit.lists.layout import Column, Facet, Layout, View
from governance.onboarding import actions, api, batches, queries
from governance.onboarding.models import OnboardedAgent

_ABOUT: Final = dict.fromkeys(
    ("onboarding_not_readable", "onboarding_too_large", "onboarding_empty", "malformed"), "file"
) | {"onboarding_agent_not_named": "agent"}


_MOST_SYSTEMS: Final = 5
"""How many systems a row names."""


class FileForm(forms.Form):
    """A file of access that exists, and whose it is where it does not say so."""

    file = forms.FileField(
        label=gettext_lazy("File"),
        help_text=gettext_lazy("CSV or JSON, of at most 8 MB."),
        error_messages={"required": form_fields.NEEDED},
        max_length=200,
    )
    agent = forms.CharField(
        label=gettext_lazy("Agent"),
        help_text=gettext_lazy("Only for the configuration of a client: whose it is."),
        required=False,
        max_length=200,
    )


STATES: Final = (
    (UnmanagedAgent.State.UNMATCHED, gettext_lazy("Unmanaged")),
    (UnmanagedAgent.State.MATCHED, gettext_lazy("Matched")),
    (UnmanagedAgent.State.BLOCKED, gettext_lazy("Blocked")),
)


def _systems(seen: UnmanagedAgent) -> str:
    return ", ".join(each.system.name for each in seen.workflows.all()[:_MOST_SYSTEMS])


LAYOUT: Final[Layout[UnmanagedAgent, UnmanagedAgent]] = Layout(
    name="discovered",
    label=gettext_lazy("Discovered agents"),
    columns=(
        Column("name", gettext_lazy("Name"), "name", sorts="name", cell=cells.text("name", "client_id"), main=True),
        Column("systems", gettext_lazy("Systems"), _systems),
        Column("source", gettext_lazy("Source"), "source", usual=False),
        Column("first", gettext_lazy("First seen"), "first_seen_at", usual=False),
        Column("seen", gettext_lazy("Last seen"), "last_seen_at", sorts="last_seen_at"),
        Column("state", gettext_lazy("State"), "state", cell="console/onboarding/discovered.html"),
    ),
    order="-seen",
    facets=(
        Facet("state", gettext_lazy("State"), "state", choices=STATES),
        Facet("system", gettext_lazy("System"), reference="system", narrow=queries.at_system),
    ),
    search=("name", "client_id"),
    search_label=gettext_lazy("Name or client"),
    views=(
        View("unmanaged", gettext_lazy("Unmanaged"), "state=unmatched"),
        View("blocked", gettext_lazy("Blocked"), "state=blocked"),
    ),
    empty=gettext_lazy("No agents were discovered yet. Upload a file of what runs elsewhere."),
)


@require_safe
@doors.page
def listing(request: HttpRequest) -> HttpResponseBase:
    """List the agents that files and logs named, and the files."""
    caller = doors.caller(request)
    seen = queries.with_lists(UnmanagedAgent.objects.select_related("agent").prefetch_related("workflows__system"))
    context = {
        "files": queries.files(caller.human, everything=caller.sees_everything).order_by("-made_at", "-id")[:20],
        "may_bring": doors.may(caller, "adoptions", None),
        "seen_all": doors.may(caller, "unmanaged-agents-compared", None, "GET"),
        "may_match": doors.may(caller, "seen-agent-match", None),
        "may_block": doors.may(caller, "seen-agent-block", None),
    }
    rows = seen if caller.sees_everything else seen.none()
    return lists.show(request, LAYOUT, rows, "console/onboarding/list.html", context)


@require_http_methods(["GET", "HEAD", "POST"])
@doors.page
def add(request: HttpRequest) -> HttpResponse:
    """Read a file and preview it. Nothing of it is in force yet."""
    if request.method != "POST":
        return form_fields.show(request, "console/onboarding/add.html", FileForm(), {})
    form = FileForm(request.POST, request.FILES)

    looked = form_fields.perform(request, form, actions.BRING, fields=_ABOUT, values=_sent)
    if looked is None:
        return form_fields.show(request, "console/onboarding/add.html", form, {})
    return redirect(f"/onboarding/{looked.result.pk}/")


def _sent(data: dict[str, Any]) -> dict[str, Any]:
    file = data["file"]
    return {"content": file.read(), "file_name": file.name, "agent": data["agent"]}


@require_http_methods(["GET", "HEAD", "POST"])
@doors.page
def detail(request: HttpRequest, pk: UUID) -> HttpResponse:
    """Show what a file says and what would be made of it; ask, answer, or say yes."""
    caller, person = doors.caller(request), doors.person(request)
    batch = doors.find_subject(request, actions.BATCH, pk)
    if request.method == "POST":
        action = doors.pressed(request, BUTTONS, "act")
        doors.perform(request, action, batch, _values(request, action))
        return redirect(f"/onboarding/{batch.pk}/")
    rows = OnboardedAgent.objects.filter(batch=batch).select_related("batch", "seen", "agent", "sponsor")
    page = paging.page(request, queries.visible(rows, caller.human, everything=caller.sees_everything), ("pk",))
    api.with_plans(page.rows)
    states = set(rows.values_list("state", flat=True))
    context = {
        "batch": batch,
        "page": page,
        "mine": rows.filter(state=OnboardedAgent.State.ASKED, sponsor=person).count(),
        "may_ask": bool(states & set(batches.OPEN)) and doors.may(caller, "adoption-ask", batch),
        "may_confirm": OnboardedAgent.State.ACCEPTED in states and doors.may(caller, "adoption-confirm", batch),
    }
    return render(request, "console/onboarding/one.html", context)


BUTTONS: Final = {
    "ask": actions.ASK_SPONSORS,
    "accept": actions.ANSWER,
    "decline": actions.ANSWER,
    "confirm": actions.CONFIRM,
}
DECISIONS: Final = {"match": actions.MATCH, "block": actions.BLOCK, "unblock": actions.UNBLOCK}


def _values(request: HttpRequest, action: Action) -> dict[str, Any]:
    """Read the form of a button."""
    values: dict[str, Any] = {"reason": doors.reason(request)}
    if action is actions.ANSWER:
        values["accept"] = request.POST["act"] == "accept"
    elif action is actions.ASK_SPONSORS:
        rows = [name.removeprefix("sponsor-") for name in request.POST if request.POST.get(name, "").strip()]
        values["sponsors"] = {
            doors.number(row): form_fields.person(request, f"sponsor-{row}") for row in rows if row.isdecimal()
        }
        values["sponsor"] = form_fields.named(request, "person", "sponsor")
    return values


@require_POST
@doors.page
def decide(request: HttpRequest, number: int) -> HttpResponse:
    """Match an unmanaged agent with one of ours, or block or unblock its name."""
    seen = doors.find_subject(request, actions.SEEN, number)
    action = doors.pressed(request, DECISIONS, "act")
    doors.permit(request, action.address, seen)
    values: dict[str, Any] = {"reason": doors.reason(request)}
    if action is actions.MATCH:
        values["agent"] = form_fields.agent(request)
    doors.perform(request, action, seen, values)
    return redirect("/onboarding/")
