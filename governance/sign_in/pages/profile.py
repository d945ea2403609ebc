"""Settings: how the person signs in, their API tokens; and people with their roles, for those who may."""

from __future__ import annotations

from datetime import timedelta
from typing import Final

from allauth.mfa.models import Authenticator
from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy
from django.views.decorators.http import require_POST, require_safe

from audit import clock
from entitlements.access import visibility
from entitlements.errors import Forbidden, Malformed
from entitlements.people import actions, people
from entitlements.people.models import ApiToken, Person, Role, RoleAssignment
from entitlements.people.role_limits import NOTHING
from governance.console import doors, paging
from governance.people import queries as people_queries

_LASTS: Final = {"7": timedelta(days=7), "30": timedelta(days=30), "90": timedelta(days=90)}
_PLACES: Final = (
    ("delegations", gettext_lazy("Out of office"), gettext_lazy("A delegate decides for you while you are away.")),
    ("notice-settings-page", gettext_lazy("Notifications"), gettext_lazy("Mail, and your quiet hours.")),
    ("keys", gettext_lazy("Keyboard shortcuts"), gettext_lazy("Turn single keys off, or change them.")),
    ("my-connections", gettext_lazy("My connections"), gettext_lazy("Clients that you have signed in.")),
    ("my-agents", gettext_lazy("Agents that act for me"), gettext_lazy("What they may do in your name.")),
)
"""The pages of a person's own settings: name of the page, label, and what it is for."""


@require_safe
@doors.page
def profile(request: HttpRequest) -> HttpResponse:
    """Show the person's own settings."""
    return _profile(request)


def _profile(request: HttpRequest, fresh: str = "") -> HttpResponse:
    person = doors.person(request)
    factors = Authenticator.objects.filter(user_id=person.pk)
    context = {
        "person": person,
        "roles": _roles(person),
        "factors": [factor.get_type_display() for factor in factors],
        "tokens": ApiToken.objects.filter(person=person, revoked_at=None, expires_at__gt=clock.now()).order_by("-pk"),
        "fresh": fresh,
        "places": _PLACES,
    }
    return render(request, "console/sign_in/settings.html", context)


def _roles(person: Person) -> list[str]:
    """Return the person's admin roles in words, each with its limit."""
    held = person.current_roles
    limits = people_queries.limits_in_words(held)
    names = [(str(each.get_role_display()), limits.get(each.role, "")) for each in held]
    return [f"{name} ({limit})" if limit else name for name, limit in names]


@require_POST
@doors.page
def make_token(request: HttpRequest) -> HttpResponse:
    """Create an API token and show it once; it may do what the person's admin roles allow."""
    person = doors.person(request)
    label = request.POST.get("label", "").strip()[:100]
    lasts = _LASTS.get(request.POST.get("lasts", ""))
    if not label or lasts is None:
        raise Malformed(_("An API token needs a name and one of the offered expiry times."))
    return _profile(request, people.make_api_token(person, label, lasts=lasts, by=person.principal))


@require_POST
@doors.page
def revoke_token(request: HttpRequest, number: int) -> HttpResponse:
    """Revoke one of the person's API tokens."""
    person = doors.person(request)
    people.revoke_api_token(person, number, by=person.principal, reason=_("Revoked in the console."))
    messages.success(request, _("The API token is revoked."))
    return redirect("settings")


@require_safe
@doors.page
def listing(request: HttpRequest) -> HttpResponse:
    """List people, for those who see them by a role."""
    caller = doors.caller(request)
    if caller.seen_reach == NOTHING:
        raise Forbidden
    rows = visibility.people(caller).select_related("sourced")
    if text := request.GET.get("q", "").strip():
        rows = rows.filter(login__icontains=text) | rows.filter(name__icontains=text)
    if role := request.GET.get("role"):
        rows = rows.filter(roles__in=RoleAssignment.objects.current().filter(role=role))
    context = {
        "page": paging.page(request, rows, ("login",)),
        "filters": request.GET,
        "roles": Role.choices,
        "may_add": bool(doors.row("people").roles & caller.roles),
        "filtered": bool(text or role),
    }
    return render(request, "console/people/people.html", context)


enable = doors.post(actions.ENABLE, lambda person: f"/people/{person.login}/")
