"""Revocations and drills, their receipts with each node, and proofs: what each node answers to calls of what ended."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final
from uuid import UUID

from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy
from django.views.decorators.http import require_POST, require_safe

from entitlements.access import visibility
from entitlements.access.caller import Caller
from entitlements.agents.models import Agent
from entitlements.decisions import guardrails
from entitlements.errors import DomainError
from entitlements.gateway.models import Guardrail
from entitlements.revocation import revocation, verify_receipt
from entitlements.revocation.actions import PROVE
from entitlements.revocation.api import EVERYTHING
from entitlements.revocation.models import Drill, Revocation, RevocationProof, Stop
from entitlements.revocation.targets import PERSON_AGENTS, Target, agents_of
from governance.audit_log.queries import names
from governance.blast_radius.queries import departments
from governance.console import doors
from governance.posture_report.queries import figures as posture
from governance.revocations.queries import measured_ends, time_to_revoke

from .stop import FOR_GOOD

VERIFIER: Final = Path(verify_receipt.__file__)
"""The file with which an auditor verifies a receipt."""
_SHOWN: Final = 5
LOST: Final = {
    "grant": gettext_lazy("%(name)s: access revoked"),
    "agent": gettext_lazy("%(name)s lost all access: agent suspended"),
    "client": gettext_lazy("%(name)s lost all access: client disabled"),
    "person": gettext_lazy("%(name)s lost all access: person disabled"),
    PERSON_AGENTS: gettext_lazy("%(name)s lost all access: person disabled, and their agents suspended"),
    "session": gettext_lazy("Session %(name)s ended"),
    "token_family": gettext_lazy("Sign-in %(name)s revoked"),
    "sign_ins": gettext_lazy("%(name)s: sign-ins revoked"),
    "token": gettext_lazy("Token %(name)s revoked"),
    "system": gettext_lazy("%(name)s cannot be reached: system disabled"),
    "tool": gettext_lazy("%(name)s cannot be called: tool disabled"),
    "everything": gettext_lazy("All access suspended: kill switch engaged"),
}
"""Who lost what, as the headline of a receipt says it."""
EFFECTS: Final = {
    "calls_per_hour": gettext_lazy("Calls an hour"),
    "sessions": gettext_lazy("Sessions"),
    "tokens": gettext_lazy("Tokens"),
    "families": gettext_lazy("Refresh tokens"),
    "grants": gettext_lazy("Accesses"),
    "agents": gettext_lazy("Agents"),
    "dependents": gettext_lazy("Dependent agents"),
    "people": gettext_lazy("People"),
    "vendors": gettext_lazy("Vendors with tokens of their own"),
}
"""What a stop reaches, in the order in which it is shown."""
WHY_UNPROVEN: Final = {
    "unreachable": gettext_lazy("did not answer"),
    "no_address": gettext_lazy("says no address at which it is asked"),
    "not_its_answer": gettext_lazy("answered what it did not seal"),
}


@require_safe
@doors.page
def overview(request: HttpRequest) -> HttpResponse:
    """List the latest revocations with their receipts: all, or those about one department."""
    caller = doors.caller(request)
    rows, department = visibility.revocations(caller), request.GET.get("department", "")
    if department:
        name = departments.NONE if department == departments.NO_DEPARTMENT else department
        rows = posture.of_department(rows).filter(named=name)
    context = {
        "revocations": _listed(caller, rows[: time_to_revoke.LATEST]),
        "department": department,
        "may_stop_everything": bool(EVERYTHING.roles & caller.roles),
        "is_stopped": Guardrail.objects.filter(name=guardrails.EVERYTHING, on=True).exists(),
    }
    return render(request, "console/revocations/stops.html", context)


@require_safe
@doors.page
def drills(request: HttpRequest) -> HttpResponse:
    """List the latest drills with their receipts."""
    caller = doors.caller(request)
    rows = visibility.drills(caller)[: time_to_revoke.LATEST]
    return render(request, "console/revocations/drills.html", {"drills": _listed(caller, rows)})


def _listed(caller: Caller, rows: Any) -> list[tuple[Stop, str, str, int | None]]:  # noqa: ANN401 - rows of stops
    stops = list(rows)
    named = names.of([link for each in stops for link in (_target(each), each.by)], caller)
    return [(each, lost(each, named), named.get(each.by, each.by), delay(each)) for each in stops]


@require_safe
@doors.page
def receipt(request: HttpRequest, pk: UUID) -> HttpResponse:
    """Show who lost what after how many milliseconds, each node, the residual access, the receipt and its proofs.

    With `download` the receipt is a file, with `verifier` the program that verifies it, with `proof` a signed
    proof, with `ends` the signed ends of tokens of other servers.
    """
    revoked = doors.find(visibility.revocations(doors.caller(request)), pk=pk)
    return _download(request, revoked) or _shown(request, revoked)


@require_safe
@doors.page
def drill(request: HttpRequest, drill: UUID) -> HttpResponse:
    """Show what a drill measured, as `receipt`."""
    row = doors.find(visibility.drills(doors.caller(request)), pk=drill)
    return _download(request, row) or _shown(request, row)


@require_POST
@doors.page
def prove(request: HttpRequest, pk: UUID) -> HttpResponse:
    """Ask each gateway node for calls that the revocation forbids, and lead to what each answered."""
    revoked = doors.find_subject(request, PROVE.subject, pk)
    try:
        doors.perform(request, PROVE, revoked)
    except DomainError as refusal:
        doors.record(request, refusal)
        return _shown(request, revoked, problem=refusal)
    return redirect(f"{reverse('receipt', args=[pk])}#proof")


def _shown(request: HttpRequest, stop: Stop, problem: DomainError | None = None) -> HttpResponse:
    caller, is_drill = doors.caller(request), isinstance(stop, Drill)
    named = names.of([_target(stop), stop.by], caller)
    context: dict[str, Any] = {
        "revocation": stop,
        "is_drill": is_drill,
        "lost": lost(stop, named),
        "slowest": delay(stop),
        "by": named.get(stop.by, stop.by),
        "for_good": stop.target_type in FOR_GOOD,
        "standing": revocation.receipt_standing(stop),
        "kept_outside_at": None if is_drill else revocation.kept_outside_at(stop),
        "effects": [(label, stop.effect[name]) for name, label in EFFECTS.items() if name in stop.effect],
        "proofs": [] if is_drill else [_proof(each) for each in stop.proofs.all()[:_SHOWN]],  # type: ignore[attr-defined]
        "may_prove": not is_drill and bool(stop.receipt) and doors.may(caller, PROVE.address, stop),
        "suspended": _suspended_with(stop) if not is_drill else [],
        "problem": problem,
        **(measured_ends.shown(stop) if isinstance(stop, Revocation) else {}),
    }
    status = problem.status if problem else 200
    return render(request, "console/revocations/receipt.html", context, status=status)


def _proof(proof: RevocationProof) -> dict[str, Any]:
    """Return a proof with its answers by node, and why nodes prove nothing, in words."""
    nodes: dict[str, list[dict[str, Any]]] = {}
    for answer in proof.answers:
        nodes.setdefault(answer["node"], []).append({**answer, "passes": answer["status"] == 200})  # noqa: PLR2004
    unproven = [(each["node"], WHY_UNPROVEN.get(each["why"], each["why"])) for each in proof.unproven]
    return {"proof": proof, "nodes": nodes.items(), "unproven": unproven}


def _suspended_with(stop: Stop) -> list[Agent]:
    """Return the agents of a person that are still suspended, to be restored."""
    if stop.target_type != PERSON_AGENTS:
        return []
    suspended = Agent.objects.filter(agents_of(stop.target_id), status=Agent.Status.SUSPENDED)
    return list(suspended.distinct().order_by("name"))


def _download(request: HttpRequest, stop: Stop) -> HttpResponse | None:
    """Return the file that is asked for, or None."""
    if "verifier" in request.GET:
        return _file(VERIFIER.read_text("utf-8"), "text/x-python", VERIFIER.name)
    if "download" in request.GET and stop.receipt:
        return _file(stop.receipt, "application/jose", f"{stop.kind}-{stop.pk}.jws")
    if "ends" in request.GET and isinstance(stop, Revocation):
        ends = measured_ends.shown(stop).get("ends")
        if ends is not None and ends.statement:
            return _file(ends.statement, "application/jose", f"{stop.kind}-{stop.pk}-ends.jws")
    if (wanted := request.GET.get("proof")) and not isinstance(stop, Drill):
        for proof in stop.proofs.all():  # type: ignore[attr-defined]
            if str(proof.pk) == wanted:
                return _file(proof.record, "application/jose", f"proof-{proof.pk}.jws")
    return None


def _file(text: str, content_type: str, name: str) -> HttpResponse:
    answer = HttpResponse(text, content_type=content_type)
    answer["Content-Disposition"] = f'attachment; filename="{name}"'
    return answer


def _target(stop: Stop) -> str:
    links = Target(stop.target_type, stop.target_id).links
    return links[0] if stop.target_type == PERSON_AGENTS else f"{stop.target_type}:{stop.target_id}"


def lost(stop: Stop, named: Mapping[str, str]) -> str:
    """Say who lost what, or would have, by the names that the reader may see."""
    template = LOST.get(stop.target_type, "%(name)s")
    said = str(template) % {"name": named.get(_target(stop), stop.target_id[:64])}
    return _("Drill: %(what)s") % {"what": said} if isinstance(stop, Drill) else said


def delay(stop: Stop) -> int | None:
    """Return after how many milliseconds the last node refused what was revoked; None before any node answered."""
    times = [float(node["after_ms"]) for node in stop.acknowledged]
    return round(max(times)) if times else None
