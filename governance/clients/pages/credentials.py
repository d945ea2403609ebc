"""A credential of an agent's client that waits: what it would allow, who may accept it, and the answer."""

from __future__ import annotations

from dataclasses import dataclass
from uuid import UUID

from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.utils.translation import gettext as _
from django.views.decorators.http import require_http_methods

from entitlements.access import visibility
from entitlements.clients import acceptance, credentials
from entitlements.clients.models import ClientCredential
from entitlements.errors import DomainError
from governance.clients.queries import credentials as read
from governance.console import doors


@dataclass(frozen=True, slots=True)
class CredentialPage:
    """What the page of a credential shows. `secret` is set only in the one answer to the person who asked for it."""

    shown: read.Shown
    secret: str
    problem: DomainError | None
    may_accept: bool
    may_refuse: bool


@require_http_methods(["GET", "HEAD", "POST"])
@doors.page
def detail(request: HttpRequest, pk: UUID) -> HttpResponse:
    """Show a credential; accept or refuse it while it waits."""
    credential = doors.find(visibility.client_credentials(doors.caller(request)), pk=pk)
    doors.about(request, *credentials.about(credential))
    if request.method != "POST":
        return show(request, credential)
    try:
        return _answer(request, credential)
    except (acceptance.AskedByOwnAccount, acceptance.AlreadyAnswered, acceptance.Lapsed) as refusal:
        doors.record(request, refusal)
        credential.refresh_from_db()
        return show(request, credential, problem=refusal)


def _answer(request: HttpRequest, credential: ClientCredential) -> HttpResponse:
    person, names = doors.person(request), {"client": credential.client_id, "agent": credential.agent.name}
    if "accept" in request.POST:
        doors.permit(request, "client-credential-accept", credential)
        doors.require_reauthentication(request, "client-credential-accept")
        acceptance.accept(credential.pk, by=person)
        doors.done(request, _("Accepted. %(client)s works for %(agent)s from now on.") % names)
        return redirect(reverse("client-page", args=[credential.agent.slug, credential.client_id]))
    doors.permit(request, "client-credential-refuse", credential)
    acceptance.refuse(credential.pk, by=person.principal, reason=doors.reason(request))
    doors.done(request, _("Refused. %(client)s gets no access to %(agent)s by it.") % names)
    return redirect(reverse("agent-page", args=[credential.agent.slug]))


def show(
    request: HttpRequest, credential: ClientCredential, *, secret: str = "", problem: DomainError | None = None
) -> HttpResponse:
    """Show the page of a credential, with its secret in the answer to the person who asked for it."""
    caller, shown = doors.caller(request), read.described(credential)
    page = CredentialPage(
        shown=shown,
        secret=secret,
        problem=problem,
        may_accept=caller.human in shown.acceptors,
        may_refuse=credential.is_open and doors.may(caller, "client-credential-refuse", credential),
    )
    return render(request, "console/clients/credential.html", {"page": page}, status=problem.status if problem else 200)
