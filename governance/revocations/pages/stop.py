"""Revocation pages: the effect first, then the reason, then the receipt with each node, and its verification."""

from __future__ import annotations

from collections.abc import Mapping
from http import HTTPStatus
from typing import Any, Final
from uuid import UUID

from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy
from django.views.decorators.http import require_http_methods, require_POST, require_safe

from entitlements.access import visibility
from entitlements.access.caller import Caller
from entitlements.api import permissions
from entitlements.decisions import guardrails
from entitlements.errors import DomainError
from entitlements.gateway.models import Guardrail
from entitlements.revocation import revocation, tickets
from entitlements.revocation.actions import RESTORE_EVERYTHING
from entitlements.revocation.api import EVERYTHING, permitted
from entitlements.revocation.models import Revocation
from entitlements.revocation.revocation import Target
from entitlements.token_families.person_sign_ins import PersonClient
from governance.audit_log.queries import events as events_queries
from governance.audit_log.queries import names
from governance.blast_radius.queries import departments
from governance.console import doors
from governance.posture_report.queries import figures as posture
from governance.revocations.queries import effects, measured_ends, time_to_revoke
from governance.revocations.queries import verification as verification_queries

ACTS: Final = {
    "grant": gettext_lazy("Revoke this access"),
    "agent": gettext_lazy("Suspend this agent"),
    "client": gettext_lazy("Disable this client"),
    "person": gettext_lazy("Disable this person"),
    "session": gettext_lazy("End this session"),
    "token_family": gettext_lazy("Revoke this sign-in"),
    "sign_ins": gettext_lazy("Revoke these sign-ins"),
    "token": gettext_lazy("Revoke this token"),
    "system": gettext_lazy("Disable this system"),
    "tool": gettext_lazy("Disable this tool"),
    "everything": gettext_lazy("Engage the kill switch"),
}
"""The act on each kind of thing. A grant, a token and a sign-in are revoked for good; the others can be restored."""
LOST: Final = {
    "grant": gettext_lazy("%(name)s: access revoked"),
    "agent": gettext_lazy("%(name)s lost all access: agent suspended"),
    "client": gettext_lazy("%(name)s lost all access: client disabled"),
    "person": gettext_lazy("%(name)s lost all access: person disabled"),
    "session": gettext_lazy("Session %(name)s ended"),
    "token_family": gettext_lazy("Sign-in %(name)s revoked"),
    "sign_ins": gettext_lazy("%(name)s: sign-ins revoked"),
    "token": gettext_lazy("Token %(name)s revoked"),
    "system": gettext_lazy("Nobody reaches %(name)s: system disabled"),
    "tool": gettext_lazy("Nobody calls %(name)s: tool disabled"),
    "everything": gettext_lazy("All access suspended: kill switch engaged"),
}
"""Who lost what, as the headline of a receipt says it."""
FOR_GOOD: Final = frozenset({"grant", "session", "token_family", "sign_ins", "token"})
"""Kinds of which the act cannot be undone."""
TYPED: Final = frozenset({"everything", "system", "person"})
"""Revocations with a large effect: the name must be typed."""


class NotTyped(DomainError):
    """The typed name does not match. Type the name of what you revoke, so that nothing else is revoked by mistake."""

    code, status = "name_not_typed", HTTPStatus.UNPROCESSABLE_ENTITY


@require_safe
@doors.page
def overview(request: HttpRequest) -> HttpResponse:
    """List the latest revocations with their receipts: all, or those about one department."""
    caller = doors.caller(request)
    rows, department = visibility.revocations(caller), request.GET.get("department", "")
    if department:
        name = departments.NONE if department == departments.NO_DEPARTMENT else department
        rows = posture.of_department(rows).filter(named=name)
    revocations = list(rows[: time_to_revoke.LATEST])
    named = names.of([link for each in revocations for link in (_target(each), each.by)], caller)
    context = {
        "revocations": [(each, lost(each, named), named.get(each.by, each.by), delay(each)) for each in revocations],
        "department": department,
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
        "act": ACTS[kind],
        "for_good": kind in FOR_GOOD,
        "thing": thing,
        "name": name_of(kind, thing, key),
        "back": doors.back(request, page_of(kind, key)),
        "typed": kind in TYPED,
        "takes_ticket": kind != "everything" and tickets.given(kind, thing, doors.person(request), "") is not None,
        "effect": effects.count_effects(kind, thing, key),
        "residual": revocation.residual(Target(kind, key)),
        "is_stopped": kind == "everything" and Guardrail.objects.filter(name=guardrails.EVERYTHING, on=True).exists(),
    }
    if request.method != "POST":
        return render(request, "console/revocations/stop.html", context)
    try:
        if kind in TYPED and request.POST.get("typed", "").strip() != key:
            raise NotTyped
        person, reason = doors.person(request), doors.reason(request)
        ticket = tickets.given(kind, thing, person, doors.ticket(request))
        revoked = revocation.revoke(Target(kind, key), by=person.principal, reason=reason, ticket=ticket)
    except DomainError as refusal:
        doors.record(request, refusal)
        return render(request, "console/revocations/stop.html", {**context, "problem": refusal}, status=refusal.status)
    return redirect(reverse("receipt", args=[revoked.pk]))


def _permitted(caller: Caller, kind: str, key: str) -> Any:  # noqa: ANN401 - any row that can be stopped
    """Return the target among what the person sees, after the API's row allows it. Raises NotFound, Forbidden."""
    if kind == "everything":
        permissions.permit(caller, EVERYTHING, None)
        return None
    return permitted(caller, Target(kind, key))


def page_of(kind: str, key: str) -> str:
    """Return where the thing is shown."""
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


@require_safe
@doors.page
def receipt(request: HttpRequest, pk: UUID) -> HttpResponse:
    """Show who lost what after how many milliseconds, each node, the residual access, and the signed receipt.

    With `prove`, the calls are decided again; with `download`, the receipt is a file, and with `ends` the signed ends.
    """
    caller = doors.caller(request)
    revoked = doors.find(visibility.revocations(caller), pk=pk)
    ends = measured_ends.shown(revoked)
    if "download" in request.GET and revoked.receipt:
        return _file(revoked.receipt, f"revocation-{revoked.pk}.jws")
    if "ends" in request.GET and ends and ends["ends"].statement:
        return _file(ends["ends"].statement, f"revocation-{revoked.pk}-ends.jws")
    named = names.of([_target(revoked), revoked.by], caller)
    context: dict[str, Any] = {"revocation": revoked, "lost": lost(revoked, named), "slowest": delay(revoked)}
    context |= {"by": named.get(revoked.by, revoked.by), "for_good": revoked.target_type in FOR_GOOD}
    context |= {"standing": revocation.receipt_standing(revoked), **ends}
    if "prove" in request.GET:
        context["probes"] = verification_queries.probe_revocation(revoked)
        context["holds"] = all(not probe.verdict.allowed for probe in context["probes"])
        if request.headers.get("HX-Request"):
            return render(request, "console/revocations/receipt.html#proof", context)
    return render(request, "console/revocations/receipt.html", context)


def _file(text: str, name: str) -> HttpResponse:
    answer = HttpResponse(text, content_type="application/jose")
    answer["Content-Disposition"] = f'attachment; filename="{name}"'
    return answer


def _target(revoked: Revocation) -> str:
    return f"{revoked.target_type}:{revoked.target_id}"


def lost(revoked: Revocation, named: Mapping[str, str]) -> str:
    """Say who lost what, by the names that the reader may see."""
    template = LOST.get(revoked.target_type, "%(name)s")
    return str(template) % {"name": named.get(_target(revoked), revoked.target_id[:64])}


def delay(revoked: Revocation) -> int | None:
    """Return after how many milliseconds the last node refused what was revoked; None before any node answered."""
    times = [float(node["after_ms"]) for node in revoked.acknowledged]
    return round(max(times)) if times else None


@require_POST
@doors.page
def start_again(request: HttpRequest) -> HttpResponse:
    """Let what grants allow pass again: a second person, with a reason and step-up authentication."""
    doors.perform(request, RESTORE_EVERYTHING, None)
    return redirect(reverse("stops"))
