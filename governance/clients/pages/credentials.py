"""A credential of an agent's client that waits: what it would allow, who may accept it, and the answer."""

from __future__ import annotations

from dataclasses import dataclass
from uuid import UUID

from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.views.decorators.http import require_http_methods

from entitlements.clients import acceptance, actions
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
    credential = doors.find_subject(request, actions.CREDENTIAL, pk)
    if request.method != "POST":
        return show(request, credential)
    try:
        return _answer(request, credential)
    except (acceptance.AskedByOwnAccount, acceptance.AlreadyAnswered, acceptance.Lapsed) as refusal:
        doors.record(request, refusal)
        credential.refresh_from_db()
        return show(request, credential, problem=refusal)


def _answer(request: HttpRequest, credential: ClientCredential) -> HttpResponse:
    if "accept" in request.POST:
        doors.perform(request, actions.ACCEPT, credential)
        return redirect(reverse("client-page", args=[credential.agent.slug, credential.client_id]))
    doors.perform(request, actions.REFUSE, credential)
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
