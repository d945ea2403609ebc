"""The page of the identity side that people see: agree that a client may know who they are."""

# ruff: noqa: ANN401 - the toolkit comes without types

from __future__ import annotations

from http import HTTPStatus
from typing import Any, Final
from urllib.parse import urlsplit

from django.conf import settings
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from oauth2_provider.exceptions import OAuthToolkitError
from oauth2_provider.oauth2_backends import _add_iss_to_redirect
from oauth2_provider.views.base import AuthorizationView
from oauthlib.oauth2 import InvalidRequestError
from oauthlib.openid import Server

from .toolkit import Validator

_REFUSED: Final = frozenset({"request", "request_uri", "registration"})


class Authorize(AuthorizationView):
    """The authorization endpoint: code with PKCE S256 only, `iss` in every answer (RFC 9207)."""

    template_name = "oauth/authorize.html"
    server_class = Server
    validator_class = Validator
    http_method_names: Final = ["get", "head", "post"]

    def dispatch(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
        """Refuse a parameter that is sent twice or cannot be honoured, before anybody reads it."""
        query = request.GET if request.method != "POST" else request.POST
        if any(len(values) > 1 for _, values in query.lists()) or _REFUSED & set(query):
            return render(request, "oauth/refused.html", {"error": "invalid_request"}, status=HTTPStatus.BAD_REQUEST)
        response: HttpResponse = super().dispatch(request, *args, **kwargs)
        return response

    def validate_authorization_request(self, request: HttpRequest) -> tuple[list[str], dict[str, Any]]:
        """Refuse every other way of the code challenge before the person is asked; the toolkit does it afterwards."""
        scopes, credentials = super().validate_authorization_request(request)
        if credentials.get("code_challenge_method") != "S256":
            error = InvalidRequestError(description="Use S256.", state=credentials.get("state"))
            raise OAuthToolkitError(error=error, redirect_uri=credentials["redirect_uri"])
        return scopes, credentials

    def render_to_response(self, context: dict[str, Any], **kwargs: Any) -> HttpResponse:
        """Show the question, or what is wrong with the request."""
        if "error" in context:
            error = context["error"]
            return render(self.request, "oauth/refused.html", {"error": error.error}, status=HTTPStatus.BAD_REQUEST)
        response: HttpResponse = super().render_to_response(context, **kwargs)
        back = urlsplit(str(context.get("redirect_uri", "")))
        # Browsers apply form-action to the redirect that answers the form as well.
        usual: list[str] = [*settings.SECURE_CSP["form-action"]]  # type: ignore[misc]
        allowed = [*usual, f"{back.scheme}://{back.netloc}"]
        response._csp_config = {**settings.SECURE_CSP, "form-action": allowed}  # type: ignore[attr-defined]  # noqa: SLF001
        return response

    def redirect(self, redirect_to: str, application: Any) -> HttpResponse:
        """Add `iss` where the toolkit leaves it out: in error answers."""
        issuer = f"{settings.CONSOLE_URL}/idp"
        response: HttpResponse = super().redirect(_add_iss_to_redirect(redirect_to, issuer), application)
        return response
