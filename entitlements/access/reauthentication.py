"""Re-authentication: high-risk acts need a fresh proof that the caller is the person, or the script's own key.

The rows that the matrix marks need one. In the console, and for a session that calls the API, the person has proven it
within the last five minutes: with the second factor; without one with the password, or at the company's sign-in, which
must then ask again and say when it did. A personal token sends in a header what the page would ask its owner for. A
script that signs for itself has just proven it: its token lives five minutes at most, and was issued against a
signature of its key. Every other caller has no proof.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from http import HTTPStatus
from typing import Any, Final

from allauth.account.adapter import get_adapter
from allauth.account.internal.flows import login, reauthentication
from allauth.core.exceptions import ImmediateHttpResponse
from allauth.core.internal.httpkit import deserialize_request, serialize_request
from allauth.mfa.models import Authenticator
from django.conf import settings
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.urls import resolve, reverse
from django.utils.http import urlencode
from rest_framework.request import Request

from entitlements.authentication import COMPANY
from entitlements.clients.models import Client
from entitlements.errors import DomainError
from entitlements.people import attempts
from entitlements.people.models import Person
from entitlements.words import Risk

from .authentication import ConsoleSession
from .caller import Caller

HEADER: Final = "Mandate-Proof"
HIGH: Final = frozenset({Risk.HIGH, Risk.CRITICAL})
"""The risk levels whose approval needs a fresh proof."""
_ASIDE: Final = reauthentication.STATE_SESSION_KEY


class SignInAgain(DomainError):
    """Your sign-in is too old for this. Sign out, then sign in again."""

    code, status = "step_up_required", HTTPStatus.FORBIDDEN


class ProofNeeded(DomainError):
    """The action needs re-authentication. Send a code as Mandate-Proof, or use the page."""

    code, status = "reauthentication_required", HTTPStatus.FORBIDDEN


class ProofRefused(DomainError):
    """The proof is wrong: it must be the code that your authenticator app shows now, used once, or your password."""

    code, status = "reauthentication_refused", HTTPStatus.FORBIDDEN


def check(request: Request, caller: Caller) -> None:
    """Let an API call go on only with a fresh proof. Raises SignInAgain, ProofNeeded, ProofRefused and TooMany."""
    if isinstance(request.successful_authenticator, ConsoleSession):
        if not is_fresh(request._request):  # noqa: SLF001 - the framework's only way to the request that it wraps
            raise SignInAgain
    elif caller.human is not None:
        _check_header(caller.human, request.headers.get(HEADER, ""), device=f"token {caller}")
    elif not caller.is_script or caller.client is None or caller.client.auth != Client.Auth.PRIVATE_KEY_JWT:
        raise ProofNeeded


def _check_header(person: Person, proof: str, *, device: str) -> None:
    if not proof:
        raise ProofNeeded
    attempt = attempts.admit_code(person.login, device)
    if has_second_factor(person):
        app = Authenticator.objects.filter(user_id=person.pk, type=Authenticator.Type.TOTP).first()
        is_right = app is not None and app.wrap().validate_code(proof)
    else:
        is_right = person.check_password(proof.encode("latin-1", "replace").decode(errors="replace"))
    if not is_right:
        raise ProofRefused
    attempt.succeeded()


def demand(request: HttpRequest) -> None:
    """Let a page go on only with a fresh proof; else put aside what was sent, ask the person, and send it again.

    A page whose script swaps a part is told to leave for the question as a whole.

    Raises ImmediateHttpResponse, which leads to the question, and SignInAgain for a person who has no way to answer it.
    """
    if is_fresh(request):
        return
    where, path = address(request), request.get_full_path()
    if where is None:
        raise SignInAgain
    request.session.pop(_ASIDE, None)
    if request.method == "POST":
        request.session[_ASIDE], path = {"request": serialize_request(request)}, request.path
    target = f"{where}?{urlencode({'next': path})}"
    is_part = "HX-Request" in request.headers
    raise ImmediateHttpResponse(HttpResponse(headers={"HX-Redirect": target}) if is_part else redirect(target))


def resume(request: HttpRequest, onward: str) -> HttpResponse:
    """Send again what `demand` put aside, now that the proof is there; without any, lead on."""
    aside = request.session.pop(_ASIDE, None)
    if not aside or "request" not in aside:
        return redirect(onward)
    kept = deserialize_request(aside["request"], request)
    match = resolve(kept.path)
    answer: HttpResponse = match.func(kept, *match.args, **match.kwargs)
    return answer


def address(request: HttpRequest) -> str | None:
    """Return the address where this person re-authenticates; None when they have no way to."""
    ways = get_adapter().get_reauthentication_methods(request.user)
    if ways:
        return str(ways[0]["url"])
    return reverse("company_again") if settings.OIDC_ISSUER else None


def has_second_factor(person: Any) -> bool:  # noqa: ANN401 - a person, or a stranger
    """Return whether a person has an authenticator app or a passkey; recovery codes alone do not count."""
    types = [Authenticator.Type.TOTP, Authenticator.Type.WEBAUTHN]
    return bool(Authenticator.objects.filter(user_id=person.pk, type__in=types).exists())


def is_fresh(request: HttpRequest) -> bool:
    """Return whether the person re-authenticated within the last five minutes, by the strongest means they have."""
    strong = has_second_factor(request.user)
    proofs = [proof for proof in login.get_authentication_records(request, request.user) if _counts(proof, strong)]
    newest = max((float(proof["at"]) for proof in proofs), default=0.0)
    return time.time() - newest < settings.ACCOUNT_REAUTHENTICATION_TIMEOUT


def _counts(proof: Mapping[str, Any], strong: bool) -> bool:  # noqa: FBT001 - two lines below its use
    """Return whether a proof counts. A sign-in at the company may be hours old: only a new one counts."""
    if strong:
        return bool(proof["method"] == "mfa")
    return proof["method"] != COMPANY or bool(proof.get("reauthenticated"))
