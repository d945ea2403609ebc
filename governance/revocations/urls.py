"""Addresses of the console: revocations, their receipts and drills."""

from typing import Final

from django.urls import URLPattern, path

from governance.revocations.pages import receipts, stop, stop_several

PAGES: Final[list[URLPattern]] = [
    path("stop/", receipts.overview, name="stops"),
    path("stop/start-again/", stop.start_again, name="start-again"),
    path("stop/receipts/<uuid:pk>/", receipts.receipt, name="receipt"),
    path("stop/receipts/<uuid:pk>/prove/", receipts.prove, name="receipt-prove"),
    path("stop/drills/", receipts.drills, name="drill-list"),
    path("stop/drills/<uuid:drill>/", receipts.drill, name="drill-receipt"),
    path("stop/everything/", stop.stop, {"kind": "everything", "key": "everything"}, name="stop-everything"),
    path("stop/several/<slug:kind>/", stop_several.several, name="stop-several"),
    path("stop/<slug:kind>/<path:key>/", stop.stop, name="stop"),
]
