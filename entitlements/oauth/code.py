"""The code flow's second half at `/idp/token`: who may sign in is ours to decide, the rest is the toolkit's."""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import datetime
from typing import Any, Final

from django.db import transaction

from audit import clock, context, log
from audit.actions import Action
from entitlements.clients.callers import Caller
from entitlements.clients.models import AuthorizationCode, Client
from entitlements.decisions import guardrails
from entitlements.decisions.snapshot import Token
from entitlements.feed import locks
from entitlements.feed.locks import Lock
from entitlements.people import sign_ins
from entitlements.tokens.issue import NotIssued

from . import refusals, toolkit
from .door import Attempt

GRANT: Final = "authorization_code"
_HANDED_ON: Final = ("code", "redirect_uri", "code_verifier", "client_id")


@transaction.atomic
def redeem(attempt: Attempt, caller: Caller) -> Mapping[str, Any]:
    """Answer a code request of an authenticated client with an ID token. Raises Refused, NotIssued."""
    code = toolkit.digest(attempt.need("code"))
    attempt.need("code_verifier")
    pending = AuthorizationCode.objects.select_related("user").filter(code=code, application_id=caller.pk).first()
    if pending is None:
        raise refusals.invalid_grant("The code is not known, or was used before.", "code_unknown")
    auth_time = pending.auth_time
    if auth_time is None:  # made by the release before, within the last minute
        raise refusals.invalid_grant("The code does not say when the person signed in. Begin again.", "code_refused")
    person = pending.user
    attempt.about.append(f"person:{person.login}")
    keys: list[locks.Key] = [(Lock.EVERYTHING, guardrails.EVERYTHING), (Lock.CLIENT, caller.pk)]
    keys.append((Lock.PERSON, person.pk))
    if caller.agent_pk is not None:
        keys += [(Lock.AGENT, caller.agent_pk), (Lock.PERSON, caller.sponsor_pk)]
    locks.shared(keys)
    scopes = frozenset(pending.scope.split())
    token = Token(code[:16], pending.created.timestamp(), pending.expires.timestamp(), scopes)
    verdict = sign_ins.may_sign_in(caller, person.pk, token, clock.now().timestamp())
    if verdict.issue is None:
        raise NotIssued(verdict, list(attempt.about))
    return _hand_on(attempt, caller, code, auth_time, person.principal)


def _hand_on(
    attempt: Attempt, caller: Caller, code: str, auth_time: datetime, person: context.Principal
) -> Mapping[str, Any]:
    client = Client.objects.get(pk=caller.pk)
    form = {**attempt.form, "code": code, "client_id": caller.client_id}
    body = [("grant_type", GRANT), *((name, form[name]) for name in _HANDED_ON if name in form)]
    validator, text, status = toolkit.redeem_code(client, auth_time, body)
    answer: dict[str, Any] = json.loads(text)
    if status != 200:  # noqa: PLR2004 - OK
        message = str(answer.get("error_description") or "The code is refused.")
        raise refusals.Refused(str(answer.get("error")), "code_refused", message)
    with context.acting(on_behalf_of=person):
        links = [*attempt.about, *([f"token:{validator.id_token}"] if validator.id_token else [])]
        detail = {"kind": "id_token", "flow": GRANT, "scope": answer.get("scope", "")}
        log.record(Action.TOKEN_ISSUED, by=caller.principal, about=links, detail=detail)
    return answer
