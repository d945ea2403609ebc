"""What the page of a sign-in does first for a client that is named by the address of its metadata document."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from http import HTTPStatus
from urllib.parse import urlencode

from django.db import transaction
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.template.response import SimpleTemplateResponse
from django.utils.translation import gettext as _

from audit.refusals import refusals
from entitlements import ratelimits
from entitlements.client_documents import admission, rules
from entitlements.client_documents.admission import Admission, Admitted
from entitlements.client_documents.models import ClientDocument
from entitlements.clients import redirects, registrations
from entitlements.clients.models import AuthorizationCode
from entitlements.clients.registrations import RegistrationUnknown
from entitlements.connections.models import Connection
from entitlements.errors import DomainError
from entitlements.people.models import Person


@dataclass(frozen=True, slots=True)
class DocumentPage:
    """What a page says of a client that cannot be signed in to: `back` leads to it, empty where its address is none."""

    client_id: str
    name: str
    message: str
    code: str
    is_waiting: bool = False
    back: str = ""


def answer(request: HttpRequest, issuer: str, go_on: Callable[[], HttpResponse]) -> HttpResponse:
    """Go on where the client is known or may be known; else say why not, and record a refusal once.

    Nothing is fetched or kept for a stranger, and what a first sign-in shows is undone unless the person agrees.
    """
    client_id = (request.POST if request.method == "POST" else request.GET).get("client_id", "")
    is_described = rules.is_address(client_id) or registrations.is_one(client_id)
    if not is_described or not request.user.is_authenticated:
        return go_on()
    person = request.user
    try:
        admitted = admission.admit(client_id, by=person, issuer=issuer)
        if admitted.admission is Admission.NEW:
            return _first(admitted.document, person, go_on)
    except DomainError as refusal:
        page = {"page": DocumentPage(client_id, client_id, refusal.message, str(refusal.code))}
        if isinstance(refusal, ratelimits.TooMany):  # who asks again soon does not fill the record
            response = render(request, "oauth/client_document.html", page, status=refusal.status)
            response["Retry-After"] = str(refusal.wait)
            return response
        about = [] if isinstance(refusal, rules.BadAddress | RegistrationUnknown) else [f"client:{client_id}"]
        refusals.record(refusal, by=person.principal, about=about)
        return render(request, "oauth/client_document.html", page, status=HTTPStatus.BAD_REQUEST)
    return go_on() if admitted.admission is Admission.KNOWN else _waits(request, issuer, admitted)


def _first(document: ClientDocument, person: Person, go_on: Callable[[], HttpResponse]) -> HttpResponse:
    """Let the page ask about a client that is there only if the person agrees, else it never was.

    What they agree to is a code, or first a connection with it through an agent of their own.
    """
    with transaction.atomic():
        client = admission.join(document, by=person)
        response = go_on()
        if isinstance(response, SimpleTemplateResponse):
            response.render()
        made = (AuthorizationCode.objects.filter(application=client), Connection.objects.filter(client=client))
        if not any(rows.exists() for rows in made):
            transaction.set_rollback(True)
    return response


def _waits(request: HttpRequest, issuer: str, admitted: Admitted) -> HttpResponse:
    document = admitted.document
    if is_waiting := admitted.admission is Admission.WAITING:
        message, code = _("An analyst decides about this client first. You get a notice of the decision."), "waiting"
    else:
        message, code = _("An analyst refused this client."), "refused"
    back = _back(request, issuer, document, message)
    page = DocumentPage(document.client_id, document.name, message, f"client_document_{code}", is_waiting, back)
    return render(request, "oauth/client_document.html", {"page": page}, status=HTTPStatus.FORBIDDEN)


def _back(request: HttpRequest, issuer: str, document: ClientDocument, message: str) -> str:
    """Return where the person leads the client's error to; it is never sent there unasked (RFC 9700 section 4.11.2)."""
    asked = request.POST if request.method == "POST" else request.GET
    where = asked.get("redirect_uri", "")
    if not redirects.allows(rules.read(document.client_id, document.document).redirect_uris, where):
        return ""
    error = {"error": "access_denied", "error_description": message, "state": asked.get("state", ""), "iss": issuer}
    query = urlencode({name: value for name, value in error.items() if value})
    return f"{where}{'&' if '?' in where else '?'}{query}"
