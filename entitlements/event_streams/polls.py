"""Polling the streams of trusted issuers (RFC 8936): what comes is checked and written as what is pushed to us.

An event is acknowledged with the poll after the one that brought it, once it is durable; one that is refused is named
there with what is wrong. A worker that dies in between fetches the same events again, and each is taken once.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from http import HTTPStatus
from typing import Any, Final
from urllib.parse import urlencode
from uuid import UUID

import msgspec
from django.db import connection, transaction

from audit import clock
from audit.refusals import refusals
from entitlements import addresses, strict
from entitlements.backlog import Busy
from entitlements.decisions import own_connection
from entitlements.decisions.own_connection import READS
from entitlements.errors import DomainError
from entitlements.risk import event_tokens
from entitlements.risk.security_events import EventRefused, invalid
from entitlements.secrets import kinds, seal
from entitlements.trusted_issuers import issuers, key_sets
from entitlements.trusted_issuers.issuers import ActiveIssuer
from entitlements.trusted_issuers.models import TrustedIssuer
from entitlements.upstream import egress, token_requests
from entitlements.upstream.token_requests import Token

from . import deliver
from .models import SignalPoll
from .poll_settings import place

EVERY: Final = timedelta(seconds=2)
AT_ONCE: Final = 100
_LEASE: Final = timedelta(minutes=2)
_SECONDS: Final = 15.0
_LARGEST: Final = 4 * 1024 * 1024
_MOST_ROUNDS: Final = 100
_TAKE: Final = "SELECT receive_security_events_v1(%s::text)"

logger = logging.getLogger(__name__)
_tokens: dict[tuple[UUID, datetime], Token] = {}


class PollFailed(DomainError):
    """The stream of the issuer did not answer as RFC 8936 says."""

    code, status = "signal_poll_failed", HTTPStatus.BAD_GATEWAY


@dataclass(slots=True)
class _Round:
    """What one poll brought: rows to write, and what the next poll says of each event."""

    rows: list[dict[str, Any]] = field(default_factory=list)
    taken: list[str] = field(default_factory=list)
    refused: dict[str, dict[str, str]] = field(default_factory=dict)
    is_more: bool = False

    @property
    def to_answer(self) -> dict[str, Any]:
        """What the next poll says of the events of this one."""
        named = {"ack": self.taken, "setErrs": self.refused}
        return {name: value for name, value in named.items() if value}


def poll_next() -> bool:
    """Poll the stream that is due longest until it is empty; says whether there was one."""
    row = _claim()
    if row is None:
        return False
    problem, rounds = "", 0
    try:
        while _once(row) and rounds < _MOST_ROUNDS:
            rounds += 1
    except DomainError as error:
        problem = error.message
        logger.warning("signal_poll_failed", extra={"poll": str(row.pk), "code": str(error.code)})
    _settle(row, problem)
    return True


def next_due() -> datetime | None:
    """Return when the next stream is polled."""
    return SignalPoll.objects.filter(ended_at=None).order_by("next_at").values_list("next_at", flat=True).first()


@transaction.atomic
def _claim() -> SignalPoll | None:
    due = SignalPoll.objects.filter(ended_at=None, next_at__lte=clock.now())
    rows = due.order_by("next_at", "pk").select_for_update(of=("self",), skip_locked=True)
    row = rows.select_related("issuer").first()
    if row is not None:
        row.next_at = clock.now() + _LEASE
        row.save(update_fields=["next_at"])
    return row


@transaction.atomic
def _settle(row: SignalPoll, problem: str) -> None:
    now, failures = clock.now(), row.failures + 1 if problem else 0
    later = deliver.retry_delay(failures) if problem else EVERY
    SignalPoll.objects.filter(pk=row.pk, ended_at=None, next_at=row.next_at).update(
        polled_at=now, next_at=now + later, failures=failures, problem=problem[:300]
    )


def _once(row: SignalPoll) -> bool:
    """Poll once; says whether there is more at once. Raises DomainError: then the same events come again."""
    issuer = own_connection.run(issuers.trusted(READS, row.issuer.issuer, TrustedIssuer.Purpose.SIGNALS))
    if issuer is None:
        raise PollFailed("Security events of this issuer are not taken any more.")
    body = {"maxEvents": AT_ONCE, "returnImmediately": True, **row.to_answer}
    found = _read(_ask(row, body), issuer, row)
    if row.to_answer or found.to_answer:
        _write(row, found)
    if found.is_more and not found.to_answer:
        raise PollFailed("The keys of the issuer cannot be fetched, so its events are left where they are.")
    return found.is_more or bool(found.to_answer)


@transaction.atomic
def _write(row: SignalPoll, found: _Round) -> None:
    """Write what was taken, and what the next poll says of it: one without the other never stands."""
    held = SignalPoll.objects.select_for_update().filter(pk=row.pk, ended_at=None, next_at=row.next_at)
    if not held.exists():
        raise PollFailed("The poll was ended, or another worker has it.")
    if found.rows:
        with connection.cursor() as cursor:
            cursor.execute(_TAKE, [msgspec.json.encode(found.rows).decode()])
    row.to_answer = found.to_answer
    row.save(update_fields=["to_answer"])


def _ask(row: SignalPoll, body: Mapping[str, Any]) -> dict[str, Any]:
    """POST a poll. Raises PollFailed, ForbiddenAddress, Unreachable, TokenUnavailable, SealBroken."""
    headers = {
        "Content-Type": "application/json",
        "Accept": "application/json",
        "User-Agent": "Mandate",
        "Authorization": f"Bearer {_bearer(row)}",
    }
    sent = egress.submit(row.endpoint_url, msgspec.json.encode(body), headers, largest=_LARGEST, seconds=_SECONDS)
    status, answer = asyncio.run(sent)
    if status == HTTPStatus.UNAUTHORIZED:
        _tokens.pop((row.pk, row.made_at), None)
    if status != HTTPStatus.OK:
        raise PollFailed(f"The stream answered {int(status)}.")
    try:
        document = strict.loads(answer, largest=_LARGEST)
    except (strict.NotStrictJson, ValueError) as error:
        raise PollFailed from error
    if not isinstance(document, dict) or not isinstance(document.get("sets"), dict):
        raise PollFailed
    return document


def _bearer(row: SignalPoll) -> str:
    """Return the bearer token of the endpoint: as it was given, or one of the token endpoint while it lasts."""
    secret = seal.unseal(bytes(row.sealed_secret or b""), place(row.pk)).decode()
    if not row.token_url:
        return secret
    kept, now = _tokens.get((row.pk, row.made_at)), clock.now()
    if kept is not None and now < kept.renew_at:
        return kept.value
    form = {"grant_type": "client_credentials", **({"scope": row.scope} if row.scope else {})}
    headers = {
        "Content-Type": "application/x-www-form-urlencoded",
        "Accept": "application/json",
        "Authorization": f"Basic {kinds.client_basic(row.client_id, secret)}",
    }
    sent = egress.submit(
        row.token_url, urlencode(form).encode(), headers, largest=token_requests.LARGEST_ANSWER, seconds=_SECONDS
    )
    status, answer = asyncio.run(sent)
    token = _tokens[row.pk, row.made_at] = token_requests.read(status, answer, now)
    return token.value


def _read(document: Mapping[str, Any], issuer: ActiveIssuer, row: SignalPoll) -> _Round:
    found = _Round(is_more=document.get("moreAvailable") is True)
    for jti, text in [*document["sets"].items()][:AT_ONCE]:
        try:
            found.rows.append(_checked(jti, text, issuer))
            found.taken.append(jti)
        except EventRefused as error:
            found.refused[jti] = {"err": error.err, "description": error.message}
            where = addresses.parts(row.endpoint_url)
            refusals.count_stranger(f"{error.code}:{error.err}", str(where.hostname) if where else "")
        except (key_sets.KeysUnreachable, Busy):
            found.is_more = True  # it stays in the stream, and comes again
    return found


def _checked(jti: str, text: object, issuer: ActiveIssuer) -> dict[str, Any]:
    """Return the row of an event once all of it was checked. Raises EventRefused, KeysUnreachable, Busy."""
    if not isinstance(text, str):
        raise invalid("The event is no token.")
    unverified = event_tokens.read(text)
    if unverified.claims.get("iss") != issuer.issuer:
        raise EventRefused("invalid_issuer", "The event is of another issuer than the stream.")
    event, claims = asyncio.run(event_tokens.check(unverified, issuer, egress.fetch_json))
    if event.jti != jti:
        raise invalid("The event has another jti than the stream says.")
    return {"issuer": issuer.pk, "jti": event.jti, "claims": dict(claims)}
