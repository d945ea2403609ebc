"""Registering an agent, editing it, and proposing its owners: a sponsor and a technical owner, both active."""

from __future__ import annotations

from datetime import timedelta
from typing import Any, Final
from uuid import UUID

from django import forms
from django.conf import settings
from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.utils.text import slugify
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy
from django.views.decorators.http import require_http_methods

from audit import clock
from entitlements.agents import actions, agents, lifecycle
from entitlements.agents.models import Agent
from entitlements.people.models import Person
from governance.console import doors, form_fields
from governance.console.kit.components import Crumb
from governance.ownership import actions as ownership_actions
from governance.ownership.models import OwnershipProposal

_RESERVED: Final = frozenset({"add"})
_FIELDS: Final = {
    "slug_taken": "slug",
    "sponsor_required": "sponsor",
    "agent_kind_not_allowed": "kind",
    "agent_end_refused": "hours",
    "sponsor_is_the_user": "sponsor",
    "owner_required": "owner",
    "reason_required": "reason",
}


class _Described(forms.Form):
    """What an agent is called, and what it is for."""

    name = forms.CharField(label=gettext_lazy("Name"), max_length=200)
    purpose = forms.CharField(
        label=gettext_lazy("Purpose"),
        max_length=500,
        widget=forms.Textarea(attrs={"rows": 2}),
        help_text=gettext_lazy("One sentence. Approvers and reviewers read it."),
    )


class AddForm(_Described):
    """A new agent."""

    field_order = ("name", "slug", "kind", "hours", "purpose", "sponsor", "owner")

    slug = forms.RegexField(
        r"^[a-z0-9][a-z0-9-]{0,63}\Z",
        label=gettext_lazy("Short name"),
        max_length=64,
        required=False,
        help_text=gettext_lazy("It never changes. If empty, it is derived from the name."),
    )
    kind = forms.ChoiceField(
        label=gettext_lazy("Agent type"),
        choices=[
            (Agent.Kind.PERSONAL, gettext_lazy("Personal: acts for its sponsor alone")),
            (Agent.Kind.SHARED, gettext_lazy("Shared: acts for several people, each under their own name")),
            (Agent.Kind.SERVICE, gettext_lazy("Service: acts for no person (a service account)")),
            (Agent.Kind.EPHEMERAL, gettext_lazy("Ephemeral: made for one task, retires at a set time")),
        ],
        widget=forms.RadioSelect,
        initial=Agent.Kind.SHARED,
    )
    hours = forms.IntegerField(
        label=gettext_lazy("Hours until an ephemeral agent retires"),
        required=False,
        min_value=1,
        widget=forms.NumberInput(attrs={"class": "short"}),
    )
    sponsor = form_fields.PersonField(
        label=gettext_lazy("Sponsor"),
        help_text=gettext_lazy(
            "The business owner: responsible for the agent, approves its access, decides whether it is still needed."
        ),
    )
    owner = form_fields.PersonField(
        label=gettext_lazy("Technical owner"),
        required=False,
        help_text=gettext_lazy("Runs the agent, and never approves its access."),
    )

    def __init__(self, *args: Any, **kwargs: Any) -> None:  # noqa: ANN401 - the framework's
        super().__init__(*args, **kwargs)
        allowed, kind = lifecycle.allowed_kinds(), self.fields["kind"]
        kind.choices = [option for option in kind.choices if option[0] in allowed]  # type: ignore[attr-defined]
        longest = int(settings.EPHEMERAL_AGENT_LONGEST.total_seconds() // 3600)
        self.fields["hours"].help_text = _("At most %(hours)s. Leave it empty for all other types.") % {
            "hours": longest
        }

    def clean(self) -> dict[str, Any]:
        """Make the short name, and the end."""
        data = super().clean() or {}
        hours = data.pop("hours", None)
        try:
            data["ends_at"] = clock.now() + timedelta(hours=hours) if hours else None
        except OverflowError:
            self.add_error("hours", forms.ValidationError(agents.EndRefused.__doc__ or "", "agent_end_refused"))
        slug = data.get("slug") or slugify(data.get("name", ""))[:64].strip("-")
        if not {"slug", "name"} & self.errors.keys() and (not slug or slug in _RESERVED):
            self.add_error("slug", forms.ValidationError(_("Choose another short name."), "invalid"))
        return {**data, "slug": slug}


class EditForm(_Described):
    """What can be changed of an agent by itself."""

    version = form_fields.VersionField()


class PeopleForm(forms.Form):
    """The owners of an agent."""

    sponsor = form_fields.PersonField(label=gettext_lazy("Sponsor"))
    owner = form_fields.PersonField(label=gettext_lazy("Technical owner"), required=False)
    backup = form_fields.PersonField(
        label=gettext_lazy("Backup owner"),
        required=False,
        help_text=gettext_lazy("Proposed first when the sponsor or the owner leaves."),
    )
    reason = forms.CharField(label=gettext_lazy("Reason"), max_length=500)


@require_http_methods(["GET", "HEAD", "POST"])
@doors.page
def add(request: HttpRequest) -> HttpResponse:
    """Register an agent with its sponsor."""
    doors.permit(request, "agents", None)
    form = AddForm(request.POST) if request.method == "POST" else AddForm()
    if request.method == "POST" and (created := form_fields.perform(request, form, actions.REGISTER, fields=_FIELDS)):
        return redirect("agent-page", created.result.slug)
    context = {
        "title": _("Add agent"),
        "crumbs": [Crumb(reverse("agent-list"), _("Agents"))],
        "lead": _("An agent has no access until a request for it is approved."),
        "away": reverse("agent-list"),
        "act": _("Add agent"),
    }
    return form_fields.show(request, "console/kit/form.html", form, context)


@require_http_methods(["GET", "HEAD", "POST"])
@doors.page
def edit(request: HttpRequest, slug: str) -> HttpResponse:
    """Change name and purpose of an agent, from the version that was shown."""
    agent = _agent(request, slug)
    doors.permit(request, "agent", agent, "PATCH")
    form = EditForm(initial={"name": agent.name, "purpose": agent.purpose, "version": agent.version})
    if request.method == "POST":
        form = EditForm(request.POST)
        if form_fields.perform(request, form, actions.EDIT, agent, fields=_FIELDS):
            return redirect("agent-page", slug)
    return _show(request, agent, form, _people_form(agent))


@require_http_methods(["POST"])
@doors.page
def appoint(request: HttpRequest, slug: str) -> HttpResponse:
    """Propose other owners of an agent; nothing changes before they accept."""
    agent = _agent(request, slug)
    for action in ownership_actions.PROPOSE.values():
        doors.permit(request, action.address, agent)
    form = PeopleForm(request.POST)
    if form_fields.submit(request, form, lambda data: _propose(request, agent, data), _FIELDS) is not None:
        messages.success(request, _("The ownership is proposed. It changes when they accept."))
        return redirect("agent-page", slug)
    described = EditForm(initial={"name": agent.name, "purpose": agent.purpose, "version": agent.version})
    return _show(request, agent, described, form)


def _propose(request: HttpRequest, agent: Agent, data: dict[str, Any]) -> Agent:
    """Propose the people who do not hold the role yet. Raises what `ownership.propose` raises."""
    for office, action in ownership_actions.PROPOSE.items():
        person: Person | None = data[office]
        if person is not None and person != getattr(agent, office):
            doors.perform(request, action, agent, {"person": person, "reason": data["reason"]})
    return agent


@require_http_methods(["GET", "HEAD", "POST"])
@doors.page
def answer(request: HttpRequest, pk: UUID) -> HttpResponse:
    """Show a proposal of ownership, and take the answer."""
    proposal = doors.find_subject(request, ownership_actions.PROPOSAL, pk)
    if request.method == "POST" and "accept" in request.POST:
        doors.perform(request, ownership_actions.ACCEPT, proposal)
        return redirect(doors.back(request, reverse("agent-page", args=[proposal.agent.slug])))
    if request.method == "POST":
        doors.perform(request, ownership_actions.DECLINE, proposal)
        return redirect("home")
    mine = proposal.person_id == doors.person(request).pk and proposal.state == OwnershipProposal.State.WAITING
    asker = Person.objects.filter(login=proposal.proposed_by.removeprefix("person:")).first()
    context = {"proposal": proposal, "agent": proposal.agent, "mine": mine, "asker": asker or proposal.proposed_by}
    return render(request, "console/agents/proposal.html", context)


def _show(request: HttpRequest, agent: Agent, form: EditForm, appointing: PeopleForm) -> HttpResponse:
    wrong = appointing if appointing.errors else form
    context = {
        "agent": agent,
        "described": form,
        "appointing": appointing,
        "may_appoint": doors.may(doors.caller(request), "agent-sponsor", agent),
    }
    return form_fields.show(request, "console/agents/agent_edit.html", wrong, context)


def _people_form(agent: Agent) -> PeopleForm:
    held = {office: getattr(agent, office) for office in OwnershipProposal.Office.values}
    return PeopleForm(initial={office: person.login if person else "" for office, person in held.items()})


def _agent(request: HttpRequest, slug: str) -> Agent:
    agent: Agent = doors.find_subject(request, actions.AGENT, slug)
    return agent
