"""The page of a revocation: the effect first, then the reason; the same form drills it."""

from __future__ import annotations

from http import HTTPStatus
from typing import Any, Final

from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy
from django.views.decorators.http import require_http_methods, require_POST

from entitlements.access.caller import Caller
from entitlements.agents.models import Agent
from entitlements.api import permissions
from entitlements.decisions import guardrails
from entitlements.errors import DomainError
from entitlements.gateway.models import Guardrail
from entitlements.revocation import effects, revocation, tickets
from entitlements.revocation.actions import RESTORE_EVERYTHING
from entitlements.revocation.api import EVERYTHING, permitted
from entitlements.revocation.revocation import Target
from entitlements.revocation.targets import PERSON_AGENTS, agents_of
from entitlements.token_families.person_sign_ins import PersonClient
from governance.audit_log.queries import events as events_queries
from governance.console import doors

ACTS: Final = {
    "grant": gettext_lazy("Revoke this access"),
    "agent": gettext_lazy("Suspend this agent"),
    "client": gettext_lazy("Disable this client"),
    "person": gettext_lazy("Disable this person"),
    PERSON_AGENTS: gettext_lazy("Disable this person and suspend their agents"),
    "session": gettext_lazy("End this session"),
    "token_family": gettext_lazy("Revoke this sign-in"),
    "sign_ins": gettext_lazy("Revoke these sign-ins"),
    "token": gettext_lazy("Revoke this token"),
    "system": gettext_lazy("Disable this system"),
    "tool": gettext_lazy("Disable this tool"),
    "everything": gettext_lazy("Engage the kill switch"),
}
"""The act on each kind of thing. A grant, a token and a sign-in are revoked for good; the others can be restored."""
FOR_GOOD: Final = frozenset({"grant", "session", "token_family", "sign_ins", "token"})
"""Kinds of which the act cannot be undone."""
TYPED: Final = frozenset({"everything", "system", "person", PERSON_AGENTS})
"""Revocations with a large effect: the name must be typed."""


class NotTyped(DomainError):
    """The typed name does not match. Type the name of what you revoke, so that nothing else is revoked by mistake."""

    code, status = "name_not_typed", HTTPStatus.UNPROCESSABLE_ENTITY


@require_http_methods(["GET", "HEAD", "POST"])
@doors.page
def stop(request: HttpRequest, kind: str, key: str) -> HttpResponse:
    """Show what a revocation would reach; with a reason, revoke or drill it, and lead to the receipt."""
    is_drill = "drill" in request.POST
    doors.about(request, *Target(kind, key).links)
    thing = _permitted(doors.caller(request), kind, key)
    context: dict[str, Any] = {
        "kind": kind,
        "key": key,
        "act": ACTS[kind],
        "for_good": kind in FOR_GOOD,
        "thing": thing,
        "name": name_of(kind, thing, key),
        "back": doors.back(request, page_of(kind, key)),
        "typed": kind in TYPED,
        "takes_ticket": kind != "everything" and tickets.given(kind, thing, doors.person(request), "") is not None,
        "effect": effects.count_effects(kind, thing, key),
        "stopped_agents": _agents_of(kind, key),
        "residual": revocation.residual(Target(kind, key)),
        "is_stopped": kind == "everything" and Guardrail.objects.filter(name=guardrails.EVERYTHING, on=True).exists(),
    }
    if request.method != "POST":
        return render(request, "console/revocations/stop.html", context)
    try:
        if kind in TYPED and not is_drill and request.POST.get("typed", "").strip() != key:
            raise NotTyped
        person, reason = doors.person(request), doors.reason(request)
        ticket = tickets.given(kind, thing, person, doors.ticket(request))
        carry_out = revocation.drill if is_drill else revocation.revoke
        made = carry_out(Target(kind, key), by=person.principal, reason=reason, ticket=ticket)
    except DomainError as refusal:
        doors.record(request, refusal)
        return render(request, "console/revocations/stop.html", {**context, "problem": refusal}, status=refusal.status)
    return redirect(reverse("drill-receipt" if is_drill else "receipt", args=[made.pk]))


def _agents_of(kind: str, key: str) -> list[Agent]:
    """Return the agents that are suspended with a person, by name."""
    if kind != PERSON_AGENTS:
        return []
    return list(Agent.objects.filter(agents_of(key), status=Agent.Status.ACTIVE).distinct().order_by("name"))


def _permitted(caller: Caller, kind: str, key: str) -> Any:  # noqa: ANN401 - any row that can be stopped
    """Return the target among what the person sees, after the API's row allows it. Raises NotFound, Forbidden."""
    if kind == "everything":
        permissions.permit(caller, EVERYTHING, None)
        return None
    return permitted(caller, Target(kind, key))


def page_of(kind: str, key: str) -> str:
    """Return where the thing is shown."""
    if kind == PERSON_AGENTS:
        return reverse("person-page", args=[key])
    if kind == revocation.SIGN_INS:
        return reverse("person-connections", args=[PersonClient.named(key).login])
    return reverse("stops") if kind == "everything" else events_queries.link_to(f"{kind}:{key}").address


def name_of(kind: str, thing: Any, key: str) -> str:  # noqa: ANN401 - as above
    """Return what people call the thing."""
    if kind == "everything":
        return _("Everything")
    if kind == "grant":
        return f"{thing.agent.name}: {thing.entitlement.name}"
    if kind == revocation.SIGN_INS and (client := PersonClient.named(key).client_id):
        return _("%(name)s at %(client)s") % {"name": thing.name, "client": client}
    if kind in ("session", "token", "token_family"):
        who = thing.person.name if thing.person else _("no person")
        agent = thing.agent.name if thing.agent else thing.client.name
        return _("%(agent)s for %(who)s") % {"agent": agent, "who": who}
    return str(getattr(thing, "name", "") or key)


@require_POST
@doors.page
def start_again(request: HttpRequest) -> HttpResponse:
    """Let what grants allow pass again: a second person, with a reason and step-up authentication."""
    doors.perform(request, RESTORE_EVERYTHING, None)
    return redirect(reverse("stops"))
