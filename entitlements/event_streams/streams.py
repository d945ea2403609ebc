"""What a receiver, and a person, does with a stream (Shared Signals Framework 1.0, section 8.1)."""

from __future__ import annotations

import secrets
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import timedelta
from typing import Any, Final
from uuid import UUID

from django.db import transaction

from audit import clock, log
from audit.actions import Action
from audit.context import Principal
from entitlements import addresses
from entitlements.errors import NotFound, ReasonRequired
from entitlements.people.models import Person
from entitlements.secrets import seal
from entitlements.trusted_issuers import signals
from entitlements.upstream import egress

from . import errors, profile
from .models import EventReceiver, EventStream, StreamEvent

MOST: Final = 5
"""Streams of one receiver."""
VERIFY_EVERY: Final = timedelta(seconds=60)
PUSH, POLL = "urn:ietf:rfc:8935", "urn:ietf:rfc:8936"
METHODS: Final[Mapping[str, str]] = {EventStream.Method.PUSH: PUSH, EventStream.Method.POLL: POLL}
_LONGEST_DESCRIPTION: Final = 255
_LONGEST_REASON: Final = 255
_LONGEST_STATE: Final = 1000
_LONGEST_URL: Final = 1000
_LONGEST_AUTHORIZATION: Final = 4000
_MOST_REQUESTED: Final = 100
_Status = EventStream.Status


@dataclass(frozen=True, slots=True)
class Terms:
    """What a receiver says of a stream. `authorization` is sent with each push, in the header of that name."""

    method: str = EventStream.Method.POLL
    endpoint_url: str = ""
    authorization: str = field(default="", repr=False)
    events: tuple[str, ...] = ()
    description: str = ""


def read(body: Mapping[str, Any], before: Terms | None = None) -> Terms:
    """Read what a receiver supplies of a configuration; without `before` what is missing is empty. Raises BadStream."""
    terms = before or Terms()
    if "delivery" in body:
        terms = _delivery(body["delivery"], terms)
    if "events_requested" in body:
        wanted = body["events_requested"]
        if not isinstance(wanted, list) or len(wanted) > _MOST_REQUESTED or not all(isinstance(w, str) for w in wanted):
            raise errors.BadStream("events_requested is no list of types.")
        terms = replace(terms, events=tuple(str(kind)[:200] for kind in wanted))
    if "description" in body:
        if not isinstance(body["description"], str) or not body["description"].isprintable():
            raise errors.BadStream("description is no text.")
        terms = replace(terms, description=body["description"][:_LONGEST_DESCRIPTION])
    return terms


def _delivery(given: object, before: Terms) -> Terms:
    if not isinstance(given, dict):
        raise errors.BadStream("delivery is no object.")
    by_method = {urn: method for method, urn in METHODS.items()}
    method = by_method.get(str(given.get("method")))
    if method is None:
        raise errors.BadStream(f"delivery.method is {PUSH} or {POLL}.")
    if method == EventStream.Method.POLL:
        return replace(before, method=method, endpoint_url="", authorization="")
    url, authorization = given.get("endpoint_url"), given.get("authorization_header", "")
    if not isinstance(url, str) or not 0 < len(url) <= _LONGEST_URL:
        raise errors.BadStream("delivery.endpoint_url is missing.")
    if (
        not isinstance(authorization, str)
        or len(authorization) > _LONGEST_AUTHORIZATION
        or not (authorization.isascii() and authorization.isprintable())
    ):
        raise errors.BadStream("delivery.authorization_header cannot be sent.")
    return replace(before, method=method, endpoint_url=url, authorization=authorization)


@transaction.atomic
def create(receiver: EventReceiver, terms: Terms) -> EventStream:
    """Make a stream. Raises NotFound, TooManyStreams, BadStream."""
    held = _receiver(receiver)
    if held.streams.count() >= MOST:
        raise errors.TooManyStreams
    stream = EventStream(receiver=held, created_at=clock.now())
    _set(stream, terms)
    stream.save(force_insert=True)
    log.record(Action.EVENT_STREAM_CREATED, about=about(stream), by=_client(held), detail=_detail(stream))
    return stream


@transaction.atomic
def change(receiver: EventReceiver, key: UUID | None, body: Mapping[str, Any], *, whole: bool) -> EventStream:
    """Change what is named of a configuration, or replace all of it. Raises NotFound, BadStream.

    What the transmitter supplies must be as it is (section 8.1.1.3).
    """
    stream = _held(receiver, key)
    shown = shown_to(stream)
    wrong = [name for name in _OURS if name in body and body[name] != shown[name]]
    if wrong:
        raise errors.BadStream(f"{', '.join(wrong)} cannot be changed.")
    _set(stream, read(body, None if whole else _terms(stream)))
    stream.failures, stream.failing_since, stream.retry_at, stream.problem = 0, None, None, ""
    stream.save()
    log.record(Action.EVENT_STREAM_CHANGED, about=about(stream), by=_client(stream.receiver), detail=_detail(stream))
    return stream


@transaction.atomic
def delete(receiver: EventReceiver, key: UUID | None) -> None:
    """Delete a stream, with what waits in it. Raises NotFound."""
    stream = _held(receiver, key)
    _delete(stream, by=_client(stream.receiver), reason="")


@transaction.atomic
def delete_by_person(key: UUID, *, by: Person, reason: str) -> None:
    """Do as `delete`, as a person. Raises ReasonRequired, NotFound."""
    if not reason.strip():
        raise ReasonRequired
    _delete(_any(key), by=by.principal, reason=reason)


def _delete(stream: EventStream, *, by: Principal, reason: str) -> None:
    links = about(stream)
    stream.delete()
    log.record(Action.EVENT_STREAM_DELETED, about=links, by=by, reason=reason)


@transaction.atomic
def set_status(receiver: EventReceiver, key: UUID | None, *, status: object, reason: object) -> EventStream:
    """Enable, pause or disable a stream as its receiver. Raises NotFound, BadStream."""
    stream = _held(receiver, key)
    if status not in _Status.values or not isinstance(reason, str) or not (reason.isprintable() or not reason):
        raise errors.BadStream("status is enabled, paused or disabled, and reason a short text.")
    _set_status(stream, str(status), reason[:_LONGEST_REASON], by=_client(stream.receiver))
    return stream


@transaction.atomic
def set_status_by_person(key: UUID, *, status: str, by: Person, reason: str) -> EventStream:
    """Do as `set_status`, as a person; the receiver is told by an event.

    Raises ReasonRequired, NotFound, StreamUnchanged.
    """
    if not reason.strip():
        raise ReasonRequired
    stream = _any(key)
    if stream.status == status:
        raise errors.StreamUnchanged
    change_status(stream, status, "An administrator set it.", by=by.principal, reason=reason)
    return stream


def change_status(stream: EventStream, status: str, said: str, *, by: Principal, reason: str) -> None:
    """Set the status without the receiver, and tell it by an event. The caller holds the stream, in a transaction."""
    _set_status(stream, status, said, by=by, reason=reason)
    queue(stream, signals.UPDATED, {"status": status, "reason": said}, at_once=True)


def _set_status(stream: EventStream, status: str, said: str, *, by: Principal, reason: str = "") -> None:
    before, stream.status, stream.status_reason = stream.status, status, said
    stream.failures, stream.failing_since, stream.retry_at, stream.problem = 0, None, None, ""
    names = ["status", "status_reason", "failures", "failing_since", "retry_at", "problem"]
    stream.save(update_fields=names)
    if status == _Status.DISABLED:
        stream.stream_events.filter(state=StreamEvent.State.WAITING, goes_at_once=False).delete()
    detail = {"before": before, "status": status}
    log.record(Action.EVENT_STREAM_STATUS_CHANGED, about=about(stream), by=by, reason=reason, detail=detail)


@transaction.atomic
def verify(receiver: EventReceiver, key: UUID | None, state: object) -> None:
    """Have a verification event sent, with the receiver's `state` if it gave one.

    Raises NotFound, BadStream, VerifiedTooOften.
    """
    if state is not None and (not isinstance(state, str) or len(state) > _LONGEST_STATE):
        raise errors.BadStream("state is no text, or too long.")
    stream, now = _held(receiver, key), clock.now()
    if stream.status == _Status.DISABLED:
        raise errors.BadStream("The stream is disabled, and carries nothing.")
    if stream.verified_at is not None and now < stream.verified_at + VERIFY_EVERY:
        raise errors.VerifiedTooOften
    stream.verified_at = now
    stream.save(update_fields=["verified_at"])
    queue(stream, signals.VERIFICATION, {} if state is None else {"state": state})
    log.record(Action.EVENT_STREAM_VERIFICATION_REQUESTED, about=about(stream), by=_client(stream.receiver))


def queue(stream: EventStream, kind: str, payload: Mapping[str, Any], *, at_once: bool = False) -> None:
    """Put an event about the stream itself into it; with `at_once` one that is sent also while it is not enabled."""
    jti, now = secrets.token_urlsafe(24), clock.now()
    claims = {
        "jti": jti,
        "iat": int(now.timestamp()),
        "sub_id": profile.of_stream(str(stream.pk)),
        "events": {kind: dict(payload)},
    }
    StreamEvent.objects.create(stream=stream, jti=jti, type=kind, claims=claims, goes_at_once=at_once, made_at=now)


def of(receiver: EventReceiver, key: UUID | None) -> EventStream:
    """Return a stream of a receiver. Raises NotFound."""
    found = receiver.streams.filter(pk=key).first() if key is not None else None
    if found is None:
        raise NotFound
    return found


def shown_to(stream: EventStream) -> dict[str, Any]:
    """Return a configuration as its receiver sees it (section 8.1.1). What authorizes a push stays sealed."""
    is_poll = stream.method == EventStream.Method.POLL
    where = f"{addresses.issuer(addresses.SIGNALS)}/streams/{stream.pk}/poll" if is_poll else stream.endpoint_url
    shown: dict[str, Any] = {
        "stream_id": str(stream.pk),
        "iss": addresses.issuer(addresses.SIGNALS),
        "aud": stream.receiver.audience,
        "delivery": {"method": METHODS[stream.method], "endpoint_url": where},
        "events_supported": [*profile.SUPPORTED],
        "events_requested": stream.events_requested,
        "events_delivered": profile.delivered(stream.events_requested),
        "min_verification_interval": int(VERIFY_EVERY.total_seconds()),
    }
    return {**shown, "description": stream.description} if stream.description else shown


_OURS: Final = ("iss", "aud", "events_supported", "events_delivered", "min_verification_interval")


def about(stream: EventStream) -> list[str]:
    """Return the links by which the record of a stream is found again."""
    return [f"event_stream:{stream.pk}", f"event_receiver:{stream.receiver.name}"]


def place(stream: EventStream) -> str:
    """Return what the sealed authorization of a stream is bound to."""
    return f"event-stream:{stream.pk}"


def _set(stream: EventStream, terms: Terms) -> None:
    """Write the terms into a row that is not saved yet. Raises BadStream for an address that is not agreed on."""
    if terms.method == EventStream.Method.PUSH:
        try:
            host = egress.check_url(terms.endpoint_url).netloc.lower()
        except egress.ForbiddenAddress as error:
            raise errors.BadStream(error.message) from error
        if host.removesuffix(":443") != stream.receiver.push_host.removesuffix(":443"):
            raise errors.BadStream("Events are not pushed to this host. A platform admin registers the receiver's.")
    stream.method, stream.endpoint_url = terms.method, terms.endpoint_url
    stream.sealed_authorization = (
        seal.seal(terms.authorization.encode(), place(stream)) if terms.authorization else None
    )
    stream.events_requested, stream.description = [*terms.events], terms.description


def _terms(stream: EventStream) -> Terms:
    sealed = stream.sealed_authorization
    authorization = seal.unseal(bytes(sealed), place(stream)).decode() if sealed is not None else ""
    requested = tuple(stream.events_requested)
    return Terms(stream.method, stream.endpoint_url, authorization, requested, stream.description)


def _receiver(receiver: EventReceiver) -> EventReceiver:
    """Hold a receiver until the transaction ends. Raises NotFound where it ended meanwhile."""
    held = EventReceiver.objects.select_for_update().filter(pk=receiver.pk, ended_at=None).first()
    if held is None:
        raise NotFound
    return held


def _held(receiver: EventReceiver, key: UUID | None) -> EventStream:
    stream = _any(key)
    if stream.receiver_id != receiver.pk:
        raise NotFound
    return stream


def _any(key: UUID | None) -> EventStream:
    rows = EventStream.objects.select_for_update(of=("self",)).select_related("receiver")
    stream = rows.filter(pk=key).first() if key is not None else None
    if stream is None:
        raise NotFound
    return stream


def _client(receiver: EventReceiver) -> Principal:
    return Principal("client", str(receiver.pk))


def _detail(stream: EventStream) -> dict[str, object]:
    return {
        "method": stream.method,
        "endpoint": stream.endpoint_url,
        "events": profile.delivered(stream.events_requested),
    }
