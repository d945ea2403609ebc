"""The set-up page: what an installation needs, line by line, each tried for real; left and taken up again at will."""

from __future__ import annotations

import smtplib
from datetime import UTC, date, datetime
from typing import Any, Final

from django.conf import settings
from django.contrib import messages
from django.core.exceptions import ValidationError
from django.core.mail import EmailMessage
from django.core.validators import validate_email
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.utils.translation import gettext as _
from django.views.decorators.http import require_POST, require_safe

from audit import clock
from entitlements import ratelimits
from entitlements.errors import DomainError, Malformed, NotFound
from entitlements.people.models import Person, Role
from governance.console import doors
from governance.setup import first_admin, readiness, setup, trials
from governance.setup import queries as read
from governance.setup.models import SetupCheck
from governance.sign_in import company_sign_in

_SETUP: Final = "setup"


@require_safe
@doors.page
def page(request: HttpRequest) -> HttpResponse:
    """Show the lines to people who may see the whole installation, and to all others whom to ask."""
    return _show(request)


def _show(request: HttpRequest, *, problem: DomainError | None = None, **more: Any) -> HttpResponse:  # noqa: ANN401
    caller, person = doors.caller(request), doors.person(request)
    context: dict[str, Any] = {"administrators": read.holders(Role.ADMIN), "problem": problem, **more}
    if caller.sees_everything:
        lines = read.entries(caller)
        context |= {
            "groups": read.groups(lines),
            "done": sum(line.state.is_green for line in lines),
            "total": len(lines),
            "may_act": caller.has(Role.ADMIN),
            "sign_in": read.sign_in(person),
            "invited": read.invited(),
            "roles": [(role.value, role.label) for role in setup.INVITABLE],
            "today": clock.now().date(),
            "is_demo": readiness.is_demo(),
            "may_link": company_sign_in.may_link(request),
            "link_address": f"{reverse('openid_connect_login', args=['company'])}?next={reverse(_SETUP)}",
        }
    return render(request, "console/setup/setup.html", context, status=problem.status if problem else 200)


@require_POST
@doors.page
def try_line(request: HttpRequest, line: str) -> HttpResponse:
    """Try one line now and come back to it."""
    if line not in setup.TESTABLE:
        raise NotFound
    setup.run_test(SetupCheck.Line(line), by=doors.person(request))
    return redirect(f"{reverse(_SETUP)}#{line}")


@require_POST
@doors.page
def attest(request: HttpRequest) -> HttpResponse:
    """Store that a backup was made, on which day and where."""
    where = request.POST.get("where", "").strip()[:500]
    try:
        day = date.fromisoformat(request.POST.get("day", ""))
        if not where:
            raise Malformed(_("Say where the backup is kept."))
        made_at = clock.now() if day == clock.now().date() else datetime(day.year, day.month, day.day, tzinfo=UTC)
        setup.attest_backup(made_at, by=doors.person(request), where=where)
    except ValueError as problem:
        raise Malformed(_("The day is written like 2026-11-24.")) from problem
    messages.success(request, _("Noted."))
    return redirect(f"{reverse(_SETUP)}#backup")


@require_POST
@doors.page
def trust(request: HttpRequest) -> HttpResponse:
    """Trust the issuer that was tested, after step-up authentication."""
    doors.about(request, "setup:sign_in")
    setup.trust_company(by=doors.person(request))
    messages.success(request, _("Trusted. Now say which of its accounts is yours, by signing in there."))
    return redirect(f"{reverse(_SETUP)}#sign_in")


@require_POST
@doors.page
def link(request: HttpRequest) -> HttpResponse:
    """Link the account of the next company sign-in to this person."""
    company_sign_in.allow_link(request)
    return redirect(f"{reverse(_SETUP)}#sign_in")


@require_POST
@doors.page
def invite(request: HttpRequest) -> HttpResponse:
    """Invite a colleague: the link goes to them by mail where mail is known to work, else it is shown, this once."""
    email = request.POST.get("email", "").strip()[:254]
    roles = [role.value for role in setup.INVITABLE if role.value in request.POST.getlist("role")]
    try:
        validate_email(email)
    except ValidationError as problem:
        raise Malformed(_("Write an e-mail address.")) from problem
    if not roles:
        raise Malformed(_("Tick at least one role."))
    doors.about(request, f"setup:{SetupCheck.Line.SECOND_ADMIN.value}")
    try:
        person, token = setup.invite(email, roles, by=doors.person(request), reason=_("Invited on the set-up page."))
    except DomainError as refusal:
        doors.record(request, refusal)
        return _show(request, problem=refusal)
    address = f"{settings.CONSOLE_URL}{reverse('welcome', args=[token])}"
    if setup.mail().is_green and _mailed(person, address):
        messages.success(request, _("%(email)s was sent a link.") % {"email": email})
        return redirect(f"{reverse(_SETUP)}#second_admin")
    answer = _show(request, fresh=address, fresh_for=person)
    answer["Cache-Control"] = "no-store"
    return answer


def _mailed(person: Person, address: str) -> bool:
    minutes = int(first_admin.GOOD_FOR.total_seconds() // 60)
    text = _("You are invited to Mandate as %(login)s. The link is good once, for %(n)d minutes:\n\n%(address)s\n")
    body = text % {"login": person.login, "n": minutes, "address": address}
    try:
        trials.send(EmailMessage(_("Your invitation to Mandate"), body, to=[person.email]))
    except (smtplib.SMTPException, OSError, ratelimits.TooMany):
        return False
    return True
