"""Agents compared with what is seen elsewhere."""

from __future__ import annotations

from dataclasses import asdict
from typing import Final

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.utils.translation import gettext_lazy as _
from django.views.decorators.http import require_safe

from entitlements.errors import Malformed
from governance.console import doors
from governance.console.kit.components import Tab
from governance.coverage_map import reconciliation

MOST: Final = 200
_TABS: Final = {
    reconciliation.THERE: _("Elsewhere only"),
    reconciliation.BOTH: _("In both"),
    reconciliation.HERE: _("Only in Mandate"),
}


@require_safe
@doors.page
def compare(request: HttpRequest) -> HttpResponse:
    """Show what is known there alone, here and there, or here alone."""
    known = request.GET.get("known", reconciliation.THERE)
    if known not in _TABS:
        raise Malformed
    rows = [
        {**asdict(row), "source_name": reconciliation.SOURCES.get(row.source, row.source)}
        for row in reconciliation.listed(known, MOST + 1)
    ]
    counts = reconciliation.counts()
    tabs = [Tab(label, f"?known={key}", key == known, counts[key]) for key, label in _TABS.items()]
    context = {"known": known, "rows": rows[:MOST], "is_cut": len(rows) > MOST, "tabs": tabs}
    return render(request, "console/coverage_map/compare.html", context)
