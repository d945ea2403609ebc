"""Onboarding pages: bring a file, ask sponsors, answer, confirm; decide about unmanaged agents."""

from __future__ import annotations

from typing import Any, Final
from uuid import UUID

from django import forms
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy, ngettext
from django.views.decorators.http import require_http_methods, require_POST, require_safe

from entitlements.access import visibility
from entitlements.errors import Malformed, NotFound
from entitlements.people.models import Person
from entitlements.unmanaged_agents import unmanaged_agents
from entitlements.unmanaged_agents.models import UnmanagedAgent
from governance.console import doors, form_fields, paging
from governance.onboarding import api, batches, queries, sponsorship
from governance.onboarding.models import OnboardedAgent, OnboardingBatch

_ABOUT: Final = dict.fromkeys(
    ("onboarding_not_readable", "onboarding_too_large", "onboarding_empty", "malformed"), "file"
) | {"onboarding_agent_not_named": "agent"}


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


@require_safe
@doors.page
def listing(request: HttpRequest) -> HttpResponse:
    """List unmanaged agents, and the files that were brought."""
    caller = doors.caller(request)
    state = request.GET.get("state", UnmanagedAgent.State.UNMATCHED)
    seen = UnmanagedAgent.objects.select_related("agent").prefetch_related("workflows__system")
    seen = seen if caller.sees_everything else seen.none()
    context = {
        "page": paging.page(request, seen.filter(state=state), ("-last_seen_at", "-id")),
        "state": state,
        "states": UnmanagedAgent.State.choices,
        "files": queries.files(caller.human, everything=caller.sees_everything).order_by("-made_at", "-id")[:20],
        "may_bring": doors.may(caller, "adoptions", None),
        "seen_all": doors.may(caller, "unmanaged-agents-compared", None, "GET"),
        "may_match": doors.may(caller, "seen-agent-match", None),
        "may_block": doors.may(caller, "seen-agent-block", None),
    }
    return render(request, "console/onboarding/list.html", context)


@require_http_methods(["GET", "HEAD", "POST"])
@doors.page
def add(request: HttpRequest) -> HttpResponse:
    """Read a file and preview it. Nothing of it is in force yet."""
    if request.method != "POST":
        return form_fields.show(request, "console/onboarding/add.html", FileForm(), {})
    form = FileForm(request.POST, request.FILES)

    def look(data: dict[str, Any]) -> OnboardingBatch:
        doors.permit(request, "adoptions", None)
        file = data["file"]
        return batches.prepare(file.read(), file_name=file.name, agent=data["agent"], by=doors.person(request))

    looked = form_fields.submit(request, form, look, _ABOUT)
    if looked is None:
        return form_fields.show(request, "console/onboarding/add.html", form, {})
    return redirect(f"/adoption/{looked.pk}/")


@require_http_methods(["GET", "HEAD", "POST"])
@doors.page
def detail(request: HttpRequest, pk: UUID) -> HttpResponse:
    """Show what a file says and what would be made of it; ask, answer, or say yes."""
    caller, person = doors.caller(request), doors.person(request)
    batch = doors.find(queries.files(caller.human, everything=caller.sees_everything), pk=pk)
    doors.about(request, *batches.about(batch))
    if request.method == "POST":
        doors.done(request, _act(request, batch, person))
        return redirect(f"/adoption/{batch.pk}/")
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
        "people": form_fields.people(),
    }
    return render(request, "console/onboarding/one.html", context)


def _act(request: HttpRequest, batch: OnboardingBatch, person: Person) -> str:
    """Carry out the action of a button; returns the message."""
    reason = doors.reason(request)
    match request.POST.get("act"):
        case "ask":
            doors.permit(request, "adoption-ask", batch)
            named = {name.removeprefix("sponsor-"): request.POST.get(name, "") for name in request.POST}
            sponsors = {
                doors.number(row): _person(login) for row, login in named.items() if row.isdecimal() and login.strip()
            }
            login = request.POST.get("sponsor", "")
            proposed = sponsorship.ask(
                batch, sponsor=_person(login) if login.strip() else None, sponsors=sponsors, by=person, reason=reason
            )
            count = len(proposed)
            return ngettext("One sponsor answer is asked for.", "%(n)d sponsor answers are asked for.", count) % {
                "n": count
            }
        case "accept" | "decline" as act:
            doors.permit(request, "adoption-answer", batch)
            sponsorship.answer(batch, accept=act == "accept", by=person, reason=reason)
            return _("Accepted. An analyst says yes next.") if act == "accept" else _("Declined.")
        case "confirm":
            doors.permit(request, "adoption-confirm", batch)
            done = batches.confirm(batch, by=person, reason=reason)
            return _("Adopted: %(agents)d agents with %(grants)d grants. They end within 30 days.") % {
                "agents": done.agents,
                "grants": done.grants,
            }
    raise Malformed


def _person(login: str) -> Person:
    person = Person.objects.filter(login=login.strip()).first()
    if person is None:
        raise NotFound(_("No person has this login."))
    return person


@require_POST
@doors.page
def decide(request: HttpRequest, number: int) -> HttpResponse:
    """Match an unmanaged agent with one of ours, or block or unblock its name."""
    caller = doors.caller(request)
    seen = doors.find(UnmanagedAgent.objects.select_related("agent"), pk=number)
    doors.about(request, *unmanaged_agents.about(seen))
    by, reason = doors.person(request).principal, doors.reason(request)
    match request.POST.get("act"):
        case "match":
            doors.permit(request, "seen-agent-match", seen)
            agent = doors.find(visibility.agents(caller), slug=request.POST.get("agent", "").strip())
            unmanaged_agents.match(seen, agent, by=by, reason=reason)
            doors.done(request, _("It is %(name)s from now on.") % {"name": agent.name})
        case "block":
            doors.permit(request, "seen-agent-block", seen)
            unmanaged_agents.block(seen, by=by, reason=reason)
            doors.done(request, _("Blocked. No client registers under this name."))
        case "unblock":
            doors.permit(request, "seen-agent-unblock", seen)
            unmanaged_agents.unblock(seen, by=by, reason=reason)
            doors.done(request, _("No longer blocked."))
        case _other:
            raise Malformed
    return redirect("/adoption/")
