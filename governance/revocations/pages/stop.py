"""Revocation pages: the effect first, then the reason, then the receipt with each node, and its verification."""

from __future__ import annotations

from http import HTTPStatus
from typing import Any, Final
from uuid import UUID

from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy
from django.views.decorators.http import require_http_methods, require_POST, require_safe

from entitlements.access import visibility
from entitlements.access.caller import Caller
from entitlements.api import permissions
from entitlements.decisions import guardrails
from entitlements.errors import DomainError
from entitlements.gateway.models import Guardrail
from entitlements.revocation import revocation
from entitlements.revocation.actions import RESTORE_EVERYTHING
from entitlements.revocation.api import EVERYTHING, permitted
from entitlements.revocation.revocation import Target
from entitlements.token_families.person_sign_ins import PersonClient
from governance.audit_log.queries import events as events_queries
from governance.console import doors
from governance.revocations.queries import effects
from governance.revocations.queries import verification as verification_queries

NAMES: Final = {
    "grant": gettext_lazy("this access"),
    "agent": gettext_lazy("this agent"),
    "client": gettext_lazy("this client"),
    "person": gettext_lazy("this person"),
    "session": gettext_lazy("this session"),
    "token_family": gettext_lazy("this sign-in"),
    "sign_ins": gettext_lazy("these sign-ins"),
    "token": gettext_lazy("this token"),
    "system": gettext_lazy("this system"),
    "tool": gettext_lazy("this tool"),
    "everything": gettext_lazy("everything"),
}
TYPED: Final = frozenset({"everything", "system", "person"})
"""Revocations with a large effect: the name must be typed."""


class NotTyped(DomainError):
    """The typed name does not match. Type the name of what you revoke, so that nothing else is revoked by mistake."""

    code, status = "name_not_typed", HTTPStatus.UNPROCESSABLE_ENTITY


@require_safe
@doors.page
def overview(request: HttpRequest) -> HttpResponse:
    """List the latest revocations with their receipts."""
    caller = doors.caller(request)
    context = {
        "stops": list(visibility.revocations(caller)[:50]),
        "may_stop_everything": bool(EVERYTHING.roles & caller.roles),
        "is_stopped": Guardrail.objects.filter(name=guardrails.EVERYTHING, on=True).exists(),
    }
    return render(request, "console/revocations/stops.html", context)


@require_http_methods(["GET", "HEAD", "POST"])
@doors.page
def stop(request: HttpRequest, kind: str, key: str) -> HttpResponse:
    """Show what a revocation would reach; with a reason, revoke and lead to the receipt."""
    doors.about(request, *([] if kind == "everything" else [f"{kind}:{key}"]))
    thing = _permitted(doors.caller(request), kind, key)
    context: dict[str, Any] = {
        "kind": kind,
        "key": key,
        "what": NAMES[kind],
        "thing": thing,
        "name": name_of(kind, thing, key),
        "back": doors.back(request, page_of(kind, key)),
        "typed": kind in TYPED,
        "effect": effects.count_effects(kind, thing, key),
        "residual": revocation.residual(Target(kind, key)),
        "is_stopped": kind == "everything" and Guardrail.objects.filter(name=guardrails.EVERYTHING, on=True).exists(),
    }
    if request.method != "POST":
        return render(request, "console/revocations/stop.html", context)
    try:
        if kind in TYPED and request.POST.get("typed", "").strip() != key:
            raise NotTyped
        revoked = revocation.revoke(Target(kind, key), by=doors.person(request).principal, reason=doors.reason(request))
    except DomainError as refusal:
        doors.record(request, refusal)
        return render(request, "console/revocations/stop.html", {**context, "problem": refusal}, status=refusal.status)
    return redirect(f"/stop/receipts/{revoked.pk}/")


def _permitted(caller: Caller, kind: str, key: str) -> Any:  # noqa: ANN401 - any row that can be stopped
    """Return the target among what the person sees, after the API's row allows it. Raises NotFound, Forbidden."""
    if kind == "everything":
        permissions.permit(caller, EVERYTHING, None)
        return None
    return permitted(caller, Target(kind, key))


def page_of(kind: str, key: str) -> str:
    """Return where the thing is shown."""
    if kind == revocation.SIGN_INS:
        return f"/people/{PersonClient.named(key).login}/connections/"
    return "/stop/" if kind == "everything" else events_queries.link_to(f"{kind}:{key}").address


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


@require_safe
@doors.page
def receipt(request: HttpRequest, pk: UUID) -> HttpResponse:
    """Show which node obeyed after how long, the residual access, and with `prove` the calls decided again."""
    revoked = doors.find(visibility.revocations(doors.caller(request)), pk=pk)
    context: dict[str, Any] = {"stop": revoked, "what": NAMES.get(revoked.target_type, revoked.target_type)}
    context["standing"] = revocation.receipt_standing(revoked)
    if "prove" in request.GET:
        context["probes"] = verification_queries.probe_revocation(revoked)
        context["holds"] = all(not probe.verdict.allowed for probe in context["probes"])
        if request.headers.get("HX-Request"):
            return render(request, "console/revocations/receipt.html#proof", context)
    return render(request, "console/revocations/receipt.html", context)


@require_POST
@doors.page
def start_again(request: HttpRequest) -> HttpResponse:
    """Let what grants allow pass again: a second person, with a reason and step-up authentication."""
    doors.perform(request, RESTORE_EVERYTHING, None)
    return redirect("/stop/")
