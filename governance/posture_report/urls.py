"""Addresses of the console: posture reports."""

from typing import Final

from django.urls import URLPattern, path

from governance.posture_report.pages import reports, review_items

PAGES: Final[list[URLPattern]] = [
    path("posture/", reports.listing, name="posture"),
    path("posture/review-items/", review_items.listing, name="posture-items"),
    path("posture/<slug:key>/", reports.report, name="posture-report"),
    path("posture/<slug:key>/report.pdf", reports.download, name="posture-report-pdf"),
]
