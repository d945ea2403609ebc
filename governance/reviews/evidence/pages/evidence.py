"""The evidence of a review: the page, the list as a file, sealing it, and handing the sealed pack out."""

from __future__ import annotations

from functools import partial
from typing import Final

from django.db import transaction
from django.http import HttpRequest, HttpResponse, HttpResponseBase, StreamingHttpResponse
from django.shortcuts import redirect, render
from django.utils.translation import gettext as _
from django.views.decorators.http import require_POST, require_safe

from entitlements.keys import signing
from entitlements.revocation import record_keys
from governance import tasks
from governance.api.matrix import MATRIX
from governance.console import doors, paging
from governance.reviews.campaigns.pages.campaigns import find_campaign, permit
from governance.reviews.evidence import record
from governance.reviews.evidence.record import listed, shown, tie_out
from governance.reviews.pack import seal as seal_actions
from governance.reviews.pack.models import EvidencePack, EvidenceSealing
from governance.reviews.population import scope_words
from governance.reviews.spot_checks import spot_checks

from .audit import readable

_FEW: Final = 5000
"""Up to so many rows of a population their hashes are computed with every look."""
_ROWS: Final = 50


@require_POST
@doors.page
def seal(request: HttpRequest, slug: str) -> HttpResponse:
    """Sign the review off, and have a worker seal it; a fresh proof is asked for, since it cannot be taken back."""
    campaign = find_campaign(request, slug)
    permit(request, "campaign-seal")
    proofs = request.session.get("account_authentication_methods", [])
    amr = sorted({str(proof.get("method", ""))[:32] for proof in proofs if proof.get("method")})
    statement = request.POST.get("statement", "").strip()[:2000]
    seal_actions.seal(campaign.pk, by=doors.person(request), statement=statement, amr=amr)
    transaction.on_commit(partial(tasks.seal_evidence.delay, str(campaign.pk)), robust=True)
    return redirect(f"/reviews/{slug}/evidence/")


@require_safe
@doors.page
def pack(request: HttpRequest, slug: str) -> HttpResponseBase:
    """Hand the sealed pack out, byte for byte as it was kept; without one, lead to where it would be sealed."""
    campaign = readable(request, slug, "evidence.zip")
    kept = EvidencePack.objects.filter(campaign=campaign).first()
    if kept is None:
        doors.done(request, _("This review is not sealed yet, so there is no pack."))
        return redirect(f"/reviews/{slug}/evidence/")
    answer = StreamingHttpResponse(kept.archive(), content_type="application/zip")
    answer["Content-Disposition"] = f'attachment; filename="evidence-{slug}.zip"'
    return answer


@require_safe
@doors.page
def evidence(request: HttpRequest, slug: str) -> HttpResponse:
    """Show who decided what when, page by page, and whether everything ties out; of many rows that is asked for."""
    campaign = readable(request, slug, "evidence")
    may_seal = bool(MATRIX["campaign-seal", "POST"].roles & doors.caller(request).roles)
    page = paging.page(request, listed(campaign), ("number", "id"), _ROWS)
    is_small = (campaign.population_rows or 0) <= _FEW
    run = EvidenceSealing.objects.select_related("asked_by").filter(campaign=campaign).first()
    kept = EvidencePack.objects.select_related("signed_off_by").defer("content").filter(campaign=campaign).first()
    told = {
        "campaign": campaign,
        "covers": scope_words.describe(campaign),
        "run": run,
        "percent": seal_actions.progress(run) if run else 0,
        "page": page,
        "rows": shown(page.rows),
        "tie_out": tie_out(campaign) if is_small or "check" in request.GET else None,
        "pack": kept,
        "standing": _standing(kept) if kept else None,
        "key": signing.public_pem(kept.key_id).decode() if kept else "",
        "spot_until": spot_checks.open_until(campaign),
        "may_seal": may_seal and not seal_actions.answered_in(campaign, doors.person(request)),
    }
    return render(request, "console/reviews/evidence/evidence.html", told)


def _standing(kept: EvidencePack) -> record_keys.Standing:
    """Say what the signature of a pack is worth by now; the row, with its time, is append-only."""
    return record_keys.standing(kept.key_id, lambda: kept.sealed_at)


@require_safe
@doors.page
def export(request: HttpRequest, slug: str, form: str) -> StreamingHttpResponse:
    """Hand the evidence out as a table or as JSON, as it is read."""
    campaign = readable(request, slug, f"evidence.{form}")
    kept = record.evidence(campaign)
    if form == "csv":
        answer = StreamingHttpResponse(kept.as_csv(), content_type="text/csv; charset=utf-8")
    else:
        answer = StreamingHttpResponse(kept.as_json(), content_type="application/json")
    answer["Content-Disposition"] = f'attachment; filename="review-{campaign.slug}.{form}"'
    return answer
