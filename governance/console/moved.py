"""Console addresses of earlier releases: mails and bookmarks that hold them still lead to the page."""

from __future__ import annotations

from typing import Final

from django.urls import path
from django.views.generic import RedirectView

_MOVED: Final = {
    "adoption": "onboarding",
    "catalogue": "entitlements",
    "emergencies": "break-glass",
    "rules": "sod-policies",
    "small-reviews": "event-triggered-reviews",
}

urlpatterns = [
    path(
        f"{before}/<path:rest>" if rest else f"{before}/",
        RedirectView.as_view(url=f"/{now}/%(rest)s" if rest else f"/{now}/", query_string=True),
    )
    for before, now in _MOVED.items()
    for rest in (False, True)
]
