"""Agents compared with what is seen elsewhere."""

from __future__ import annotations

from dataclasses import asdict
from typing import Final

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.views.decorators.http import require_safe

from entitlements.errors import Malformed
from governance.console import doors
from governance.coverage_map import reconciliation

MOST: Final = 200


@require_safe
@doors.page
def compare(request: HttpRequest) -> HttpResponse:
    """Show what is known there alone, here and there, or here alone."""
    known = request.GET.get("known", reconciliation.THERE)
    if known not in (reconciliation.THERE, reconciliation.BOTH, reconciliation.HERE):
        raise Malformed
    rows = [
        {**asdict(row), "source_name": reconciliation.SOURCES.get(row.source, row.source)}
        for row in reconciliation.listed(known, MOST + 1)
    ]
    context = {"known": known, "rows": rows[:MOST], "is_cut": len(rows) > MOST, "counts": reconciliation.counts()}
    return render(request, "console/coverage_map/compare.html", context)
