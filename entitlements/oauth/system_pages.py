"""The authorization endpoint of one system: a person signs in to it at a client, and says what the client may do."""

# ruff: noqa: ANN401 - the toolkit comes without types

from __future__ import annotations

from http import HTTPStatus
from typing import Any, cast
from urllib.parse import urlsplit

from django import forms
from django.contrib.auth.decorators import login_not_required
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.utils.decorators import method_decorator
from oauth2_provider.exceptions import OAuthToolkitError
from oauth2_provider.forms import AllowForm
from oauthlib.oauth2 import AccessDeniedError, InvalidScopeError, Server, UnauthorizedClientError
from oauthlib.oauth2.rfc6749.errors import CustomOAuth2Error
from oauthlib.openid.connect.core.exceptions import ConsentRequired, LoginRequired

from entitlements import addresses
from entitlements.agents import personal_agents
from entitlements.catalog.models import System
from entitlements.clients import redirects
from entitlements.clients.models import Client
from entitlements.decisions.scopes import PROTOCOL_SCOPES
from entitlements.decisions.verdicts import Remedy
from entitlements.errors import DomainError
from entitlements.people import sign_ins
from entitlements.session_policies.rules import SignedIn

from . import consent
from .consent import Consent
from .pages import AuthorizationPage, Refusal, must_be_silent
from .toolkit import SystemValidator


class _Form(AllowForm):
    """What the page hands on to its answer; a client that asks for no scope asks for all that there is."""

    scope = forms.CharField(widget=forms.HiddenInput(), required=False)


@method_decorator(login_not_required, name="dispatch")
class Authorize(AuthorizationPage):
    """Sign in to a system: the resource is the system's own (RFC 8707), and each sign-in asks the person."""

    template_name = "oauth/consent.html"
    server_class = Server
    validator_class = SystemValidator
    form_class = _Form
    system: System

    @property
    def issuer(self) -> str:
        """The issuer of the system."""
        return addresses.issuer(addresses.issuer_path(self.system.slug))

    def dispatch(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
        """Find the system, or all of them. People do not sign in to our own API in this way."""
        found = System.objects.filter(slug=kwargs.pop("system"), vendor=None).exclude(slug=addresses.MANDATE).first()
        if found is None:
            raise Http404
        self.system = found
        return super().dispatch(request, *args, **kwargs)

    def validate_authorization_request(self, request: HttpRequest) -> tuple[list[str], dict[str, Any]]:
        """Check also what is of the system: the client's name there, the resource and the scopes."""
        scopes, credentials = super().validate_authorization_request(request)
        credentials["resource"] = [self._resource(request.GET.get("resource", ""), credentials)]
        self._check_client(credentials)
        return self._scopes(scopes, credentials), credentials

    def must_sign_in_again(self, request: HttpRequest, credentials: dict[str, Any]) -> bool:
        """Ask for a new sign-in also where the agent's session of this one was ended."""
        if super().must_sign_in_again(request, credentials):
            return True
        auth_time, client = sign_ins.signed_in_at(request), Client.objects.get(client_id=credentials["client_id"])
        return auth_time is not None and consent.is_ended(client, cast("Any", request.user), auth_time)

    def needed_sign_in(self, scopes: list[str], credentials: dict[str, Any], signed_in: SignedIn) -> Remedy | None:
        """Ask the rule of the token that follows."""
        client = Client.objects.select_related("agent").get(client_id=credentials["client_id"])
        return consent.needed_sign_in(client, cast("Any", self.request.user), self.system, scopes, signed_in)

    def ask(self, request: HttpRequest, scopes: list[str], credentials: dict[str, Any]) -> HttpResponse:
        """Show what the client asks for; not to a person who agreed to it before at a client with a proven identity."""
        client = Client.objects.select_related("agent").get(client_id=credentials["client_id"])
        person, is_asked = cast("Any", request.user), "consent" in request.GET.get("prompt", "").split()
        if not is_asked and consent.is_agreed(client, person, self.system, scopes, credentials["redirect_uri"]):
            where, *_ = self.create_authorization_response(request, " ".join(scopes), credentials, allow=True)
            return self.redirect(where, client)
        if must_be_silent(request):
            raise self._error(ConsentRequired(description="This sign-in asks the person."), credentials)
        resource = " ".join(credentials["resource"])
        self.oauth2_data = {**credentials, "scope": scopes, "resource": resource}
        signed_in, _ = self._stated(request, scopes, credentials)
        asked = consent.ask(client, person, self.system, scopes, signed_in)
        self._note(asked)
        return self._show(asked, credentials["redirect_uri"], self.get_form())

    def form_valid(self, form: Any) -> HttpResponse:
        """Take the answer. Where it connects the person with the client, the page then asks what the client may do."""
        answered, person = form.cleaned_data, cast("Any", self.request.user)
        client = Client.objects.filter(client_id=answered["client_id"]).first()
        if not answered["allow"] or client is None or not consent.needs_connection(client, person):
            return super().form_valid(form)
        if not client.redirect_uri_allowed(answered["redirect_uri"]):
            return self.form_invalid(form)
        try:
            if not self.must_sign_in_again(self.request, answered):
                personal_agents.connect(client, person)
        except DomainError as refusal:
            self.refused = Refusal(refusal, [*self._links(client), f"person:{person.login}"])
            asked = Consent(client, person, self.system, "", refusal=refusal.message)
            return self._show(asked, answered["redirect_uri"], form, status=refusal.status)
        return redirect(self.request.get_full_path())

    def _note(self, asked: Consent) -> None:
        """Let a refusal be recorded, in which there is nothing to agree to."""
        if asked.denied is not None:
            about = [*self._links(asked.client), f"person:{asked.person.login}", *asked.denied.links]
            self.refused = Refusal(asked.denied, about)

    def _links(self, client: Client) -> list[str]:
        return [f"client:{client.client_id}", f"system:{self.system.slug}"]

    def _show(self, asked: Consent, back: str, form: Any, *, status: int = HTTPStatus.OK) -> HttpResponse:
        shown = {"consent": asked, "redirect_uri": back, "leads_home": redirects.is_loopback(back), "form": form}
        shown["redirect_host"] = urlsplit(back).netloc
        return self.render_to_response(self.get_context_data(**shown), status=status)

    def create_authorization_response(
        self,
        request: HttpRequest,
        scopes: str,
        credentials: dict[str, Any],
        allow: bool,  # noqa: FBT001 - the toolkit's signature
    ) -> tuple[Any, ...]:
        """Make the code, for this system alone, when there is something that the person can agree to."""
        asked_for = " ".join(credentials.get("resource", []))
        credentials["resource"] = [self._resource(asked_for, credentials)]
        client = self._check_client(credentials)
        known = self._scopes(scopes.split(), credentials)
        signed_in, needed = self._stated(request, known, credentials)
        if allow and needed is not None:
            raise self._error(LoginRequired(description="The person must sign in again."), credentials)
        asked = consent.ask(client, cast("Any", request.user), self.system, known, signed_in)
        if allow and not asked.can_be_allowed:
            self._note(asked)
            raise self._error(AccessDeniedError(description=asked.refusal or None), credentials)
        more = {**credentials, "system": self.system, "scope": " ".join(known)}  # else the toolkit takes the address's
        return super().create_authorization_response(request, " ".join(known), more, allow)

    def _resource(self, asked_for: str, credentials: dict[str, Any]) -> str:
        known = addresses.resources(self.system)
        if not asked_for:
            return known[0]
        if asked_for not in known:
            message = "The resource is not one of this server."
            raise self._error(CustomOAuth2Error("invalid_target", description=message), credentials)
        return asked_for

    def _check_client(self, credentials: dict[str, Any]) -> Client:
        """Return the client, which means the same at the system, and acts through an agent."""
        client = Client.objects.select_related("agent").get(client_id=credentials["client_id"])
        caller, _ = consent.client_at(client.client_id, self.system)
        acts = client.agent is not None or client.serves == Client.Serves.PERSONAL_AGENTS
        if caller is None or caller.pk != client.pk or not acts:
            raise self._error(UnauthorizedClientError(description="The client has no agent here."), credentials)
        return client

    def _scopes(self, asked: list[str], credentials: dict[str, Any]) -> list[str]:
        """Ignore the scopes that are not known here; the token's answer names the rest."""
        wanted = [scope for scope in asked if scope not in PROTOCOL_SCOPES]
        known = consent.known_scopes(self.system, wanted)
        if wanted and not known:
            raise self._error(InvalidScopeError(description="The system offers none of these scopes."), credentials)
        return known

    def _error(self, error: Any, credentials: dict[str, Any]) -> OAuthToolkitError:
        error.state = credentials.get("state")
        return OAuthToolkitError(error=error, redirect_uri=credentials["redirect_uri"])
