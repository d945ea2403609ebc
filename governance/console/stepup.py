"""Step-up: what weighs most is done only by somebody who proved at most five minutes ago who they are."""

from __future__ import annotations

import time
from http import HTTPStatus

from allauth.account.internal.flows import login, reauthentication
from allauth.core.exceptions import ReauthenticationRequired
from django.conf import settings
from django.http import HttpRequest

from entitlements.errors import DomainError


class SignInAgain(DomainError):
    """Your sign-in is too old for this; sign out, and in again."""

    code, status = "step_up_required", HTTPStatus.FORBIDDEN


def is_fresh(request: HttpRequest) -> bool:
    """Whether the person proved who they are within the last five minutes, by whatever means they have."""
    proofs = login.get_authentication_records(request, request.user)
    newest = max((float(proof["at"]) for proof in proofs), default=0.0)
    return time.time() - newest < settings.ACCOUNT_REAUTHENTICATION_TIMEOUT


def demand(request: HttpRequest) -> None:
    """Go on only with a fresh proof; else the form is kept, the person proves it, and the form is sent again.

    Raises SignInAgain for a person who can only prove it at the company's sign-in.
    """
    if is_fresh(request):
        return
    if not reauthentication.get_reauthentication_flows(request.user):
        raise SignInAgain
    raise ReauthenticationRequired
