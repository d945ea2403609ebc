"""The person's own password; a person who signs in at the company has none here."""

from __future__ import annotations

from http import HTTPStatus

from allauth.account import views as account
from django.http import HttpRequest, HttpResponse
from django.views.decorators.http import require_http_methods

from entitlements.errors import DomainError
from governance.console import doors
from governance.sign_in import devices


class NoPassword(DomainError):
    """You sign in at your company, so you have no password here. Change it at your company."""

    code, status = "no_password", HTTPStatus.CONFLICT


@require_http_methods(["GET", "HEAD", "POST"])
@doors.page
def change(request: HttpRequest) -> HttpResponse:
    """Show and take the form. Raises NoPassword."""
    person = doors.person(request)
    if not person.has_usable_password():
        raise NoPassword
    before = person.password
    changed: HttpResponse = account.password_change(request)
    person.refresh_from_db(fields=["password"])
    if person.password != before:  # this ended every known device of the person; here they have just proved it again
        devices.remember(changed, person)
    return changed
