"""The pages of a browser sign-in that people see: agree that a client may know who they are, or may act for them."""

# ruff: noqa: ANN401 - the toolkit comes without types

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime
from http import HTTPStatus
from typing import Any, Final, cast
from urllib.parse import urlencode, urlsplit

from django.conf import settings
from django.contrib.auth.decorators import login_not_required
from django.contrib.auth.views import redirect_to_login
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.utils.decorators import method_decorator
from oauth2_provider.exceptions import OAuthToolkitError
from oauth2_provider.oauth2_backends import _add_iss_to_redirect
from oauth2_provider.views.base import AuthorizationView
from oauthlib.oauth2 import InvalidRequestError
from oauthlib.openid.connect.core.exceptions import LoginRequired

from audit import clock, context
from audit.refusals import refusals
from entitlements import addresses
from entitlements.access import reauthentication
from entitlements.clients import clients
from entitlements.clients.models import Client
from entitlements.codes import Code
from entitlements.decisions import facts
from entitlements.decisions.verdicts import Effect, Remedy, Verdict
from entitlements.dpop import proofs
from entitlements.edge.grant_types.authorization_code import OFFLINE
from entitlements.errors import DomainError
from entitlements.people import sign_ins
from entitlements.people.models import Person
from entitlements.session_policies.rules import SignedIn
from entitlements.tokens.issue import NotIssued

from . import client_documents, consent, session_policies, sign_in_ahead, step_up
from .toolkit import IdentityServer, Validator

_REFUSED: Final = frozenset({"request", "request_uri", "registration"})


@dataclass(frozen=True, slots=True)
class Refusal:
    """What a page refused a signed-in person, and how the event of it is found again."""

    error: DomainError
    about: list[str]


@method_decorator(login_not_required, name="dispatch")
class AuthorizationPage(AuthorizationView):
    """What each authorization endpoint does: code with PKCE S256 only, `iss` in every answer (RFC 9207).

    A stranger is answered here, since `prompt=none` is no reason to ask for a sign-in. The toolkit keeps a server in
    the class, so endpoints with servers of their own are no subclasses of each other.
    """

    http_method_names: Final = ["get", "head", "post"]
    is_of_client: Final = True
    """By which a sign-in knows that it leads on to a client (`sign_in_ahead.trace`)."""
    refused: Refusal | None = None
    """Recorded once the page is made, since a client's first page is made in a transaction that is undone."""

    @property
    def issuer(self) -> str:
        """The issuer that answers."""
        raise NotImplementedError

    def dispatch(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
        """Refuse a parameter that is sent twice or cannot be honoured, before anybody reads it."""
        query = request.GET if request.method != "POST" else request.POST
        if any(len(values) > 1 for _, values in query.lists()) or _REFUSED & set(query):
            return render(request, "oauth/refused.html", {"error": "invalid_request"}, status=HTTPStatus.BAD_REQUEST)
        go_on = super().dispatch
        with context.acting(trace=_trace(request, query.get("client_id", ""))):
            response = client_documents.answer(
                request, self.issuer, lambda: cast("HttpResponse", go_on(request, *args, **kwargs))
            )
            if self.refused is not None and request.user.is_authenticated:  # for a stranger nothing is written
                refusals.record(self.refused.error, by=request.user.principal, about=self.refused.about)
            return response

    def get(self, request: HttpRequest, *_: Any, **__: Any) -> HttpResponse:
        """Ask the person whether the client may know who they are, after a new sign-in where one is due."""
        try:
            scopes, credentials = self.validate_authorization_request(request)
            if self.must_sign_in_again(request, credentials):
                return self._sign_in_again(credentials)
            if not step_up.is_enough(request):
                return self._sign_in_stronger(credentials, step_up.address(request, step_up.requested(request)))
            signed_in, needed = self._stated(request, scopes, credentials)
            if needed is not None:
                return self._sign_in_as_needed(scopes, credentials, needed, signed_in)
            return self.ask(request, scopes, credentials)
        except OAuthToolkitError as error:
            return cast("HttpResponse", self.error_response(error, application=None))

    def must_sign_in_again(self, request: HttpRequest, credentials: dict[str, Any]) -> bool:
        """Whether the client or our own rule asks for a newer sign-in. Raises OAuthToolkitError."""
        return _must_sign_in_again(request, credentials)

    def needed_sign_in(self, scopes: list[str], credentials: dict[str, Any], signed_in: SignedIn) -> Remedy | None:
        """Return the sign-in that session policies ask for; None where what is known of this one is enough."""
        raise NotImplementedError

    def _stated(
        self, request: HttpRequest, scopes: list[str], credentials: dict[str, Any]
    ) -> tuple[SignedIn, Remedy | None]:
        """Return what the code says of the sign-in, in the context that policies ask for, if it meets them."""
        each = [(known, self.needed_sign_in(scopes, credentials, known)) for known in step_up.stated(request)]
        return next((one for one in each if one[1] is None), each[0])

    def _sign_in_as_needed(
        self, scopes: list[str], credentials: dict[str, Any], needed: Remedy, signed_in: SignedIn
    ) -> HttpResponse:
        """Lead to the sign-in that policies ask for: a newer one where that will do, else one in another way."""
        newer = replace(signed_in, at=clock.now().timestamp())
        if self.needed_sign_in(scopes, credentials, newer) is None:
            return self._sign_in_again(credentials)
        known = sign_ins.authentication_of(self.request)
        contexts = [each for each in needed.contexts if not known.covers(each)]
        where = step_up.address(self.request, contexts) or step_up.at_company(self.request, contexts)
        return self._sign_in_stronger(credentials, where)

    def ask(self, request: HttpRequest, scopes: list[str], credentials: dict[str, Any]) -> HttpResponse:
        """Show the question. Raises OAuthToolkitError."""
        del scopes, credentials
        return cast("HttpResponse", super().get(request))

    def handle_no_permission(self) -> HttpResponse:
        """Lead a person who is not signed in to the sign-in page; what asks for a new sign-in is answered by that."""
        if {"none", "create"} & set(self.request.GET.get("prompt", "").split()):
            return cast("HttpResponse", super().handle_no_permission())
        return redirect_to_login(_onward(self.request), self.get_login_url())

    def _sign_in_again(self, credentials: dict[str, Any]) -> HttpResponse:
        where = None if must_be_silent(self.request) else reauthentication.address(self.request)
        if where is None:
            raise _login_required(credentials)
        return redirect(f"{where}?{urlencode({'next': _onward(self.request)})}")

    def _sign_in_stronger(self, credentials: dict[str, Any], where: str | None) -> HttpResponse:
        if where is None:
            raise _unmet(credentials)
        if must_be_silent(self.request):
            raise _login_required(credentials)
        return redirect(f"{where}?{urlencode({'next': _onward(self.request)})}")

    def create_authorization_response(
        self,
        request: HttpRequest,
        scopes: str,
        credentials: dict[str, Any],
        allow: bool,  # noqa: FBT001 - the toolkit's signature
    ) -> tuple[Any, ...]:
        """Make the code. It keeps when and how the person signed in, in this browser session and in no other."""
        auth_time = sign_ins.signed_in_at(request)
        if allow and (_is_too_old(auth_time, sign_ins.max_age()) or _is_asked_again(request, credentials)):
            raise _login_required(credentials)
        if allow and not step_up.is_enough(request):
            raise _unmet(credentials)
        signed_in, needed = self._stated(request, scopes.split(), credentials)
        if allow and needed is not None:
            raise _login_required(credentials)
        kept = {"acr": signed_in.acr, "amr": " ".join(step_up.methods(request))}
        kept["sign_in_trace"] = sign_in_ahead.kept(request)
        response: tuple[Any, ...] = super().create_authorization_response(
            request, scopes, {**credentials, "auth_time": auth_time, "jkt": _key(request, credentials), **kept}, allow
        )
        return response

    def validate_authorization_request(self, request: HttpRequest) -> tuple[list[str], dict[str, Any]]:
        """Refuse every other way of the code challenge before the person is asked; the toolkit does it afterwards."""
        scopes, credentials = super().validate_authorization_request(request)
        if credentials.get("code_challenge_method") != "S256":
            error = InvalidRequestError(description="Use S256.", state=credentials.get("state"))
            raise OAuthToolkitError(error=error, redirect_uri=credentials["redirect_uri"])
        _key(request, credentials)
        return scopes, credentials

    def render_to_response(self, context: dict[str, Any], **kwargs: Any) -> HttpResponse:
        """Show the question, or what is wrong with the request."""
        if "error" in context:
            error = context["error"]
            self._note_stopped_client()
            return render(self.request, "oauth/refused.html", {"error": error.error}, status=HTTPStatus.BAD_REQUEST)
        response: HttpResponse = super().render_to_response(context, **kwargs)
        usual: list[str] = [*settings.SECURE_CSP["form-action"]]  # type: ignore[misc]
        allowed = [*usual, _source(str(context.get("redirect_uri", "")))]
        response._csp_config = {**settings.SECURE_CSP, "form-action": allowed}  # type: ignore[attr-defined]  # noqa: SLF001
        return response

    def _note_stopped_client(self) -> None:
        asked = self.request.POST if self.request.method == "POST" else self.request.GET
        client = Client.objects.select_related("agent").filter(client_id=asked.get("client_id", "")).first()
        if client is not None and not client.is_usable_now:
            self.refused = Refusal(NotIssued(Verdict(Effect.DENY, Code.CLIENT_DISABLED, ()), []), clients.about(client))

    def form_valid(self, form: Any) -> HttpResponse:
        """Take an answer that still names the client and an address of it; who changed them is sent nowhere."""
        client = Client.objects.filter(client_id=form.cleaned_data["client_id"]).first()
        if client is None or not client.redirect_uri_allowed(form.cleaned_data["redirect_uri"]):
            return self.form_invalid(form)
        return cast("HttpResponse", super().form_valid(form))

    def form_invalid(self, form: Any) -> HttpResponse:
        """Refuse an answer that is not one of our form; showing the question again would say nothing."""
        del form
        return render(self.request, "oauth/refused.html", {"error": "invalid_request"}, status=HTTPStatus.BAD_REQUEST)

    def redirect(self, redirect_to: str, application: Any) -> HttpResponse:
        """Add `iss` where the toolkit leaves it out: in error answers."""
        response: HttpResponse = super().redirect(_add_iss_to_redirect(redirect_to, self.issuer), application)
        return response


class Authorize(AuthorizationPage):
    """The authorization endpoint of the identity side: the client learns who the person is."""

    template_name = "oauth/authorize.html"
    server_class = IdentityServer
    validator_class = Validator

    @property
    def issuer(self) -> str:
        """The identity issuer."""
        return addresses.issuer(addresses.IDP)

    def needed_sign_in(self, scopes: list[str], credentials: dict[str, Any], signed_in: SignedIn) -> Remedy | None:
        """Ask the policies of every system at which the client's agent acts for the person."""
        del scopes
        client = Client.objects.select_related("agent").get(client_id=credentials["client_id"])
        return session_policies.needed_sign_in(client, cast("Any", self.request.user), signed_in)

    def ask(self, request: HttpRequest, scopes: list[str], credentials: dict[str, Any]) -> HttpResponse:
        """Show the question, and for how long the client stays signed in where it asks for that."""
        if OFFLINE in scopes:
            self.extra_context = {"lasts": consent.lasts(Client.objects.get(client_id=credentials["client_id"]))}
        return super().ask(request, scopes, credentials)


def _trace(request: HttpRequest, client_id: str) -> str:
    """Return the trace of the sign-in that the page is about; without one, that of the request."""
    person = request.user
    found = sign_in_ahead.at_client(request, person, client_id) if isinstance(person, Person) else ""
    return found or context.current().trace


def must_be_silent(request: HttpRequest) -> bool:
    """Whether the client wants its answer without any page (OpenID Connect Core 3.1.2.1)."""
    return "none" in request.GET.get("prompt", "").split()


def _source(redirect_uri: str) -> str:
    """Return the source that a form may lead to: browsers apply form-action to the redirect that answers it as well.

    A policy cannot name an IPv6 address (CSP Level 3 section 2.3.1), so it names the scheme of that loopback.
    """
    back = urlsplit(redirect_uri)
    return f"{back.scheme}:" if "[" in back.netloc else f"{back.scheme}://{back.netloc}"


def _key(request: HttpRequest, credentials: dict[str, Any]) -> str:
    """Return the thumbprint of the key with which the code must be redeemed, empty for any (RFC 9449 section 10).

    Raises OAuthToolkitError for what is no thumbprint.
    """
    named = request.GET.getlist("dpop_jkt")
    if named and (len(named) > 1 or not proofs.THUMBPRINT.fullmatch(named[0])):
        error = InvalidRequestError(description="dpop_jkt is no thumbprint.", state=credentials.get("state"))
        raise OAuthToolkitError(error=error, redirect_uri=credentials["redirect_uri"])
    return named[0] if named else ""


def _must_sign_in_again(request: HttpRequest, credentials: dict[str, Any]) -> bool:
    """Whether the client or our own rule asks for a newer sign-in (OpenID Connect Core 3.1.2.1).

    Raises OAuthToolkitError for a `max_age` that is no number of seconds.
    """
    requested_age, oldest = request.GET.get("max_age", ""), sign_ins.max_age()
    if requested_age:
        if not (requested_age.isascii() and requested_age.isdigit()):
            error = InvalidRequestError(description="max_age is a number of seconds.", state=credentials.get("state"))
            raise OAuthToolkitError(error=error, redirect_uri=credentials["redirect_uri"])
        oldest = min(oldest, float(requested_age))
    is_due = _is_too_old(sign_ins.signed_in_at(request), oldest) or _is_asked_again(request, credentials)
    return is_due or "login" in request.GET.get("prompt", "").split()


def _is_asked_again(request: HttpRequest, credentials: dict[str, Any]) -> bool:
    """Whether a risk signal about the person, or the client's agent for them, asks for a newer sign-in."""
    signed_in = sign_ins.signed_in_at(request)
    required = sign_ins.required_after(request, credentials["client_id"])
    return signed_in is None or facts.is_signed_in_too_early(signed_in.timestamp(), required)


def _is_too_old(auth_time: datetime | None, oldest: float) -> bool:
    return auth_time is None or (clock.now() - auth_time).total_seconds() > oldest


def _login_required(credentials: dict[str, Any]) -> OAuthToolkitError:
    """Return the error of a person whose sign-in is too old (OpenID Connect Core 3.1.2.6)."""
    error = LoginRequired(description="The person must sign in again.", state=credentials.get("state"))
    return OAuthToolkitError(error=error, redirect_uri=credentials["redirect_uri"])


def _unmet(credentials: dict[str, Any]) -> OAuthToolkitError:
    """Return the error of a person who cannot sign in as the client asks."""
    return OAuthToolkitError(error=step_up.refusal(credentials.get("state")), redirect_uri=credentials["redirect_uri"])


def _onward(request: HttpRequest) -> str:
    """Return this address without what asks for a new sign-in, so that a person is asked once."""
    query = request.GET.copy()
    query.pop("max_age", None)
    prompts = [prompt for prompt in query.pop("prompt", [""])[0].split() if prompt != "login"]
    if prompts:
        query["prompt"] = " ".join(prompts)
    return f"{request.path}?{query.urlencode()}"
