"""The evidence of a review: the page, the list as a file, sealing, and the download of the sealed pack."""

from __future__ import annotations

from typing import Final

from django.contrib import messages
from django.http import HttpRequest, HttpResponse, HttpResponseBase, StreamingHttpResponse
from django.shortcuts import redirect, render
from django.utils.translation import gettext as _
from django.views.decorators.http import require_POST, require_safe

from entitlements.keys import signing
from entitlements.revocation import record_keys
from governance.api.matrix import MATRIX
from governance.console import doors, paging
from governance.reviews.campaigns.pages import header
from governance.reviews.campaigns.pages.campaigns import find_campaign
from governance.reviews.evidence import actions, record
from governance.reviews.evidence.record import items_of, rows_of
from governance.reviews.evidence.tie_out import tie_out
from governance.reviews.pack import seal as seal_actions
from governance.reviews.pack.models import EvidencePack, EvidenceSealing
from governance.reviews.population import scope_words
from governance.reviews.spot_checks import spot_checks

from .audit import by_name, readable

_FEW: Final = 5000
"""Up to so many rows the hashes of a population are computed at every view."""
_ROWS: Final = 50


@require_POST
@doors.page
def seal(request: HttpRequest, slug: str) -> HttpResponse:
    """Sign the review off, and have a worker seal it. It cannot be undone, so it needs re-authentication."""
    campaign = find_campaign(request, slug)
    proofs = request.session.get("account_authentication_methods", [])
    amr = sorted({str(proof.get("method", ""))[:32] for proof in proofs if proof.get("method")})
    statement = request.POST.get("statement", "").strip()[:2000]
    doors.perform(request, actions.SEAL, campaign, {"statement": statement, "amr": amr})
    return redirect("review-evidence", slug)


@require_safe
@doors.page
def pack(request: HttpRequest, slug: str) -> HttpResponseBase:
    """Return the sealed pack, byte for byte as it was stored; without one, redirect to the evidence page."""
    campaign = readable(request, slug, "evidence.zip")
    sealed = EvidencePack.objects.filter(campaign=campaign).first()
    if sealed is None:
        messages.success(request, _("This review is not sealed yet, so there is no evidence pack."))
        return redirect("review-evidence", slug)
    answer = StreamingHttpResponse(sealed.archive(), content_type="application/zip")
    answer["Content-Disposition"] = f'attachment; filename="evidence-{slug}.zip"'
    return answer


@require_safe
@doors.page
def evidence(request: HttpRequest, slug: str) -> HttpResponse:
    """Show the decisions page by page, and whether the list ties out; for many rows only on request."""
    campaign = readable(request, slug, "evidence")
    may_seal = bool(MATRIX["campaign-seal", "POST"].roles & doors.caller(request).roles)
    page = paging.page(request, items_of(campaign), ("number", "id"), _ROWS)
    is_small = (campaign.population_rows or 0) <= _FEW
    run = EvidenceSealing.objects.select_related("asked_by").filter(campaign=campaign).first()
    sealed = EvidencePack.objects.select_related("signed_off_by").defer("content").filter(campaign=campaign).first()
    context = {
        **header.context(request, campaign, "evidence"),
        "covers": scope_words.describe(campaign),
        "run": run,
        "percent": seal_actions.progress(run) if run else 0,
        "page": page,
        "rows": by_name(rows_of(page.rows), "decided_by", "reviewer"),
        "tie_out": tie_out(campaign) if is_small or "check" in request.GET else None,
        "pack": sealed,
        "standing": _standing(sealed) if sealed else None,
        "key": signing.public_pem(sealed.key_id).decode() if sealed else "",
        "spot_until": spot_checks.open_until(campaign),
        "may_seal": may_seal and not seal_actions.answered_in(campaign, doors.person(request)),
    }
    return render(request, "console/reviews/evidence/evidence.html", context)


def _standing(sealed: EvidencePack) -> record_keys.Standing:
    """Return the standing of the key that signed a pack."""
    return record_keys.standing(sealed.key_id, lambda: sealed.sealed_at)


@require_safe
@doors.page
def export(request: HttpRequest, slug: str, form: str) -> StreamingHttpResponse:
    """Stream the evidence as CSV or JSON."""
    campaign = readable(request, slug, f"evidence.{form}")
    evidence_list = record.evidence(campaign)
    if form == "csv":
        answer = StreamingHttpResponse(evidence_list.as_csv(), content_type="text/csv; charset=utf-8")
    else:
        answer = StreamingHttpResponse(evidence_list.as_json(), content_type="application/json")
    answer["Content-Disposition"] = f'attachment; filename="review-{campaign.slug}.{form}"'
    return answer
