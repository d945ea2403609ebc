"""The person's own password; whoever signs in at the company has none here."""

from __future__ import annotations

from http import HTTPStatus

from allauth.account import views as account
from django.http import HttpRequest, HttpResponse
from django.views.decorators.http import require_http_methods

from entitlements.errors import DomainError
from governance.console import doors


class NoPassword(DomainError):
    """You sign in at your company, so there is no password of yours here to change."""

    code, status = "no_password", HTTPStatus.CONFLICT


@require_http_methods(["GET", "HEAD", "POST"])
@doors.page
def change(request: HttpRequest) -> HttpResponse:
    """Show and take the form. Raises NoPassword."""
    if not doors.person(request).has_usable_password():
        raise NoPassword
    changed: HttpResponse = account.password_change(request)
    return changed
