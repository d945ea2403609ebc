"""Sealing the evidence of a closed review, and handing the sealed pack out."""

from __future__ import annotations

from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.utils.translation import gettext as _
from django.views.decorators.http import require_POST, require_safe

from entitlements.errors import Forbidden
from governance.api.matrix import MATRIX
from governance.console import doors, stepup
from governance.models import EvidencePack
from governance.reviews.pack.sealing import seal as seal_evidence

from .reviews import found


def _permit(request: HttpRequest, name: str, method: str) -> None:
    if not MATRIX[name, method].roles & doors.caller(request).roles:
        raise Forbidden


@require_POST
@doors.page
def seal(request: HttpRequest, slug: str) -> HttpResponse:
    """Sign the review off; a fresh proof is asked for, since it cannot be taken back."""
    campaign = found(request, slug)
    _permit(request, "campaign-seal", "POST")
    stepup.demand(request)
    proofs = request.session.get("account_authentication_methods", [])
    amr = sorted({str(proof.get("method", ""))[:32] for proof in proofs if proof.get("method")})
    statement = request.POST.get("statement", "").strip()[:2000]
    seal_evidence(campaign.pk, by=doors.person(request), statement=statement, amr=amr)
    doors.done(request, _("Sealed. The pack is kept, and can be checked without Mandate."))
    return redirect(f"/reviews/{slug}/evidence/")


@require_safe
@doors.page
def pack(request: HttpRequest, slug: str) -> HttpResponse:
    """Hand the sealed pack out, byte for byte as it was kept; without one, lead to where it would be sealed."""
    campaign = found(request, slug)
    _permit(request, "campaign-pack", "GET")
    stepup.demand(request)
    kept = EvidencePack.objects.filter(campaign=campaign).first()
    if kept is None:
        doors.done(request, _("This review is not sealed yet, so there is no pack."))
        return redirect(f"/reviews/{slug}/evidence/")
    answer = HttpResponse(bytes(kept.content), content_type="application/zip")
    answer["Content-Disposition"] = f'attachment; filename="evidence-{slug}.zip"'
    return answer
