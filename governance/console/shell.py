"""The layout of every page: the navigation, the theme, and the banner while everything is suspended."""

from __future__ import annotations

from typing import Any, Final

from django.contrib import admin
from django.http import HttpRequest
from django.utils.functional import SimpleLazyObject

from entitlements.decisions import guardrails
from entitlements.gateway.models import Guardrail
from entitlements.people.models import OFFICE, Role
from governance.back_office.site import Office
from governance.home_page.queries import waiting
from governance.notices.models import Notice
from governance.reviews.items import visibility
from governance.reviews.workbench import keys
from governance.search.queries import places
from governance.setup import readiness

from . import doors, navigation

THEMES: Final = ("auto", "light", "dark")


def shell(request: HttpRequest) -> dict[str, Any]:
    """Add to every template what the layout shows."""
    theme = request.COOKIES.get("theme", "auto")
    signed_in = getattr(request, "user", None) is not None and request.user.is_authenticated
    section = navigation.current(request.path)
    groups: Any = SimpleLazyObject(lambda: navigation.shown(doors.caller(request), section) if signed_in else [])
    return {
        "theme": theme if theme in THEMES else "auto",
        "keys": keys.read(request.COOKIES.get(keys.COOKIE, "")),
        "navigation": groups,
        "tabs_of": SimpleLazyObject(lambda: navigation.tabs(groups, _page_name(request))),
        "command_actions": SimpleLazyObject(lambda: places.actions(doors.caller(request)) if signed_in else []),
        "waiting_count": SimpleLazyObject(lambda: _waiting(request) if signed_in else 0),
        "inbox_count": SimpleLazyObject(lambda: _unread(request) if signed_in else 0),
        "review_count": SimpleLazyObject(lambda: _reviewing(request) if signed_in else 0),
        "setup_missing": SimpleLazyObject(lambda: _missing(request) if signed_in else []),
        "office_address": SimpleLazyObject(lambda: _in_the_office(request) if signed_in else ""),
        "everything_stopped": SimpleLazyObject(lambda: _stopped() if signed_in else None),
    }


def _page_name(request: HttpRequest) -> str:
    return (request.resolver_match.url_name or "") if request.resolver_match else ""


def _waiting(request: HttpRequest) -> int:
    return waiting.requests_for(doors.person(request)).count()


def _reviewing(request: HttpRequest) -> int:
    return visibility.waiting_for(doors.person(request)).count()


def _unread(request: HttpRequest) -> int:
    return Notice.objects.filter(person=doors.person(request), read_at=None).count()


def _missing(request: HttpRequest) -> list[readiness.State]:
    """Return the missing set-up steps, for administrators and analysts."""
    if request.path.startswith("/settings/setup/") or not doors.caller(request).has(Role.ADMIN, Role.ANALYST):
        return []
    return readiness.missing()


def _stopped() -> Guardrail | None:
    return Guardrail.objects.filter(name=guardrails.EVERYTHING, on=True).first()


def _in_the_office(request: HttpRequest) -> str:
    """Return where the back office shows the row of this page, for those who may open it; else nothing."""
    match = request.resolver_match
    if match is None or not doors.caller(request).has(*OFFICE) or not isinstance(admin.site, Office):
        return ""
    return admin.site.address_of(match)
