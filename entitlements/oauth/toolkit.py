"""django-oauth-toolkit, tamed: the authorization endpoint of its code flow, with hashed codes.

What a code is redeemed for is the edge's (`entitlements/edge/grant_types/authorization_code.py`): it reads the rows
that are left here.
"""

# ruff: noqa: ANN401 - the toolkit and oauthlib come without types

from __future__ import annotations

from typing import Any
from urllib.parse import parse_qsl, urlencode

from django.db import transaction
from oauth2_provider.oauth2_validators import OAuth2Validator
from oauthlib.oauth2 import InvalidScopeError
from oauthlib.openid import Server

from audit import context, log
from audit.actions import Action
from entitlements.clients import clients
from entitlements.clients.models import AuthorizationCode, Client
from entitlements.edge.grant_types.authorization_code import digest


class IdentityServer(Server):
    """oauthlib's server of the identity side, where a request without a scope is one for `openid`.

    RFC 6749 section 3.3 asks for a default or a refusal, and a client that names no scope wants to know who signs in.
    oauthlib chooses its handler by the scope, before it asks for a default.
    """

    def validate_authorization_request(self, uri: str, *args: Any, **kwargs: Any) -> Any:
        """Check a request with its scope, or with the default."""
        address, _, query = uri.partition("?")
        sent = parse_qsl(query)
        if not any(name == "scope" for name, _ in sent):
            uri = f"{address}?{urlencode([*sent, ('scope', 'openid')])}"
        return super().validate_authorization_request(uri, *args, **kwargs)


class Validator(OAuth2Validator):
    """Answers oauthlib's questions at the authorization endpoint, where no client authenticates."""

    def authenticate_client(self, *_: Any, **__: Any) -> bool:
        """Never: our own code authenticates clients."""
        return False

    def authenticate_client_id(self, *_: Any, **__: Any) -> bool:
        """Never take a client's word for who it is."""
        return False

    def validate_client_id(self, client_id: str, request: Any, *args: Any, **kwargs: Any) -> bool:
        """Know a client only while it is active."""
        known = super().validate_client_id(client_id, request, *args, **kwargs)
        return bool(known and request.client.is_usable_now)

    def is_pkce_required(self, *_: Any) -> bool:
        """Always (RFC 9700 section 2.1.1)."""
        return True

    def validate_scopes(
        self, client_id: str, scopes: list[str], client: Client, request: Any, *_: Any, **__: Any
    ) -> bool:
        """Ignore the scopes that are not known here (OpenID Connect Core 3.1.2.1); the token's answer names the rest.

        Raises InvalidScopeError without `openid`, which is answered at the client's address.
        """
        known = [
            scope for scope in scopes if super(Validator, self).validate_scopes(client_id, [scope], client, request)
        ]
        if "openid" not in known:
            raise InvalidScopeError(description="Ask for the scope openid.", request=request)
        request.scopes = known
        return True

    def validate_silent_login(self, *_: Any) -> bool:
        """Let the next question decide: whether the person is signed in is not known here."""
        return True

    def validate_silent_authorization(self, *_: Any) -> bool:
        """Never: each sign-in to a client asks the person, so `prompt=none` is answered with `consent_required`."""
        return False

    def save_authorization_code(
        self, client_id: str, code: dict[str, Any], request: Any, *args: Any, **kw: Any
    ) -> None:
        """Store the digest of the code alone, with time and manner of the sign-in in the session that agreed.

        That the person agreed is one event, in the trace of the sign-in. An earlier sign-in of the browser session
        that led elsewhere is in a trace of its own, and the event is found by both.
        """
        stored, system = digest(code["code"]), getattr(request, "system", None)
        with transaction.atomic():
            super().save_authorization_code(client_id, {**code, "code": stored}, request, *args, **kw)
            AuthorizationCode.objects.filter(code=stored).update(
                auth_time=request.auth_time, acr=request.acr, amr=request.amr, system=system, jkt=request.jkt
            )
            about = [*clients.about(request.client), *([f"system:{system.slug}"] if system is not None else [])]
            earlier = {request.sign_in_trace} - {"", context.current().trace}
            about += [f"trace:{trace}" for trace in earlier]
            detail = {"scope": " ".join(request.scopes), "acr": request.acr, "amr": request.amr}
            detail |= {"signed_in_at": request.auth_time.isoformat()} if request.auth_time else {}
            log.record(Action.SIGN_IN_AGREED, by=request.user.principal, about=about, detail=detail)


class SystemValidator(Validator):
    """Answers at the authorization endpoint of a system, whose page checks the scopes itself."""

    def validate_scopes(self, *_: Any, **__: Any) -> bool:
        """Take any: which of them the system offers is not known here."""
        return True
