"""A fresh proof of who calls, for what weighs most: the rows that the matrix marks ask for one.

A session proved it at most five minutes ago, as on the page. A personal token comes with what the page would ask its
owner for, in a header: the code that the authenticator app shows now, or the password of a person without a second
factor. A script that signs for itself has just given one: its token lives five minutes at most, and was issued against
a signature of its key. Everybody else has none.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from http import HTTPStatus
from typing import Any, Final

from allauth.account.internal.flows import login
from allauth.mfa.models import Authenticator
from django.conf import settings
from django.http import HttpRequest
from rest_framework.request import Request

from entitlements.clients.models import Client
from entitlements.errors import DomainError
from entitlements.people import attempts
from entitlements.people.models import Person
from entitlements.people.sign_ins import COMPANY
from entitlements.words import Risk

from .authentication import ConsoleSession
from .caller import Caller

HEADER: Final = "Mandate-Proof"
HIGH: Final = frozenset({Risk.HIGH, Risk.CRITICAL})
"""What weighs enough that approving it asks for a proof."""


class SignInAgain(DomainError):
    """Your sign-in is too old for this. Sign out, then sign in again."""

    code, status = "step_up_required", HTTPStatus.FORBIDDEN


class ProofNeeded(DomainError):
    """The action needs a fresh proof of who you are. Send one as Mandate-Proof, or use the page."""

    code, status = "proof_needed", HTTPStatus.FORBIDDEN


class ProofRefused(DomainError):
    """The proof is wrong: it must be the code that your authenticator app shows now, used once, or your password."""

    code, status = "proof_refused", HTTPStatus.FORBIDDEN


def check(request: Request, caller: Caller) -> None:
    """Go on only with a fresh proof. Raises SignInAgain, ProofNeeded, ProofRefused and TooMany."""
    if isinstance(request.successful_authenticator, ConsoleSession):
        if not is_fresh(request._request):  # noqa: SLF001 - the framework's only way to the request that it wraps
            raise SignInAgain
    elif caller.human is not None:
        _check_proof(caller.human, request.headers.get(HEADER, ""), device=f"token {caller}")
    elif not caller.is_script or caller.client is None or caller.client.auth != Client.Auth.PRIVATE_KEY_JWT:
        raise ProofNeeded


def _check_proof(person: Person, proof: str, *, device: str) -> None:
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


def has_second_factor(person: Any) -> bool:  # noqa: ANN401 - a person, or a stranger
    """Whether a person has an authenticator app or a passkey; recovery codes alone do not count."""
    types = [Authenticator.Type.TOTP, Authenticator.Type.WEBAUTHN]
    return bool(Authenticator.objects.filter(user_id=person.pk, type__in=types).exists())


def is_fresh(request: HttpRequest) -> bool:
    """Whether the person proved who they are within the last five minutes, by the strongest means they have."""
    strong = has_second_factor(request.user)
    proofs = [proof for proof in login.get_authentication_records(request, request.user) if _counts(proof, strong)]
    newest = max((float(proof["at"]) for proof in proofs), default=0.0)
    return time.time() - newest < settings.ACCOUNT_REAUTHENTICATION_TIMEOUT


def _counts(proof: Mapping[str, Any], strong: bool) -> bool:  # noqa: FBT001 - two lines below its use
    """Whether a proof is good enough. The company's session may be hours old: only a sign-in asked for again counts."""
    if strong:
        return bool(proof["method"] == "mfa")
    return proof["method"] != COMPANY or bool(proof.get("reauthenticated"))
