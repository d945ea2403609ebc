"""The record: events about a thing, the signed checkpoint, the export that the offline verifier reads, proofs."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from http import HTTPStatus
from typing import Any, Final
from uuid import UUID

from django.db import transaction
from django.db.models import Q, QuerySet
from django.http import HttpResponse, StreamingHttpResponse
from django.http.response import HttpResponseBase
from django.utils.dateparse import parse_datetime
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from audit import log, stream
from audit.actions import Action
from audit.export import jsonl, timeline
from audit.models import Checkpoint, Event, Leaf
from audit.seals import proofs
from entitlements.access import role_reach, visibility
from entitlements.access.caller import Caller
from entitlements.errors import DomainError, Forbidden, Malformed, NotFound
from entitlements.people.role_limits import EVERYTHING, NOTHING
from entitlements.revocation.api import KINDS

from . import paging
from .endpoints import Endpoint
from .fields import OutputSerializer

_PLACE: Final = 3


class NoCheckpoint(NotFound):
    """No checkpoint exists yet, because no event is sealed. Try again later."""

    code = "no_checkpoint"


class NoProof(DomainError):
    """The event is not sealed in a checkpoint yet. Try again later."""

    code, status = "proof_not_available", HTTPStatus.NOT_FOUND


class BadRange(Malformed):
    """`from` and `to` must be indexes, or times in ISO 8601 with an offset."""

    code = "range_malformed"


class BadLink(Malformed):
    """`about` must be a link of the form kind:id."""

    code = "link_malformed"


class EventSerializer(OutputSerializer):
    """One event, parsed from the very bytes that were sealed. `index` is null until it is sealed."""

    uuid = serializers.UUIDField()
    index = serializers.IntegerField(allow_null=True)
    at = serializers.CharField()
    action = serializers.CharField()
    outcome = serializers.CharField()
    code = serializers.CharField(required=False)
    actor = serializers.CharField()
    on_behalf_of = serializers.CharField(required=False)
    trace = serializers.CharField()
    request_id = serializers.CharField()
    links = serializers.ListField(child=serializers.CharField())
    reason = serializers.CharField(required=False)
    detail = serializers.DictField()


class EventPage(OutputSerializer):
    """A page of events."""

    results = EventSerializer(many=True)
    next = serializers.CharField(allow_null=True)


def shown(events: Sequence[Event]) -> list[dict[str, Any]]:
    """Write events as the API shows them, with their places in the log, in one query."""
    places = (
        {(leaf.producer, leaf.sequence): leaf.index for leaf in Leaf.objects.filter(_any_of(events))} if events else {}
    )
    return [_shown(event, places.get((event.producer, event.sequence))) for event in events]


def _any_of(events: Sequence[Event]) -> Q:
    condition = Q()
    for producer in {event.producer for event in events}:
        condition |= Q(
            producer=producer, sequence__in=[event.sequence for event in events if event.producer == producer]
        )
    return condition


def _shown(event: Event, index: int | None) -> dict[str, Any]:
    body = event.parsed
    optional = {name: body[name] for name in ("code", "on_behalf_of", "reason") if body[name]}
    return {
        "uuid": body["uuid"],
        "index": index,
        "at": body["at"],
        "action": body["action"],
        "outcome": body["outcome"],
        "actor": body["actor"],
        "trace": body["trace"],
        "request_id": body["request_id"],
        "links": body["links"],
        "detail": body["detail"],
        **optional,
    }


class Events(Endpoint):
    """List audit events.

    With `about` (`grant:ID`, `agent:SLUG`, `trace:ID`, `token:JTI`): the timeline of that thing, oldest first.
    Without it: all events that you can see, newest first.
    """

    parameters = frozenset({"about", "action", "order", paging.CURSOR, paging.LIMIT})

    @extend_schema(
        parameters=[
            OpenApiParameter(
                "about", str, description="`grant:<id>`, `agent:<slug>`, `trace:<id>`, `token:<jti>`, ..."
            ),
            OpenApiParameter("action", str, description="One event name, like `grant.revoked`."),
            OpenApiParameter("order", str, enum=["oldest", "newest"]),
            OpenApiParameter(paging.CURSOR, str, description="Where the page before ended."),
            OpenApiParameter(paging.LIMIT, int, description="How many events at most."),
        ],
        responses=EventPage,
    )
    def get(self, request: Request) -> Response:
        """Answer one page."""
        about = request.query_params.get("about")
        order = request.query_params.get("order", "newest" if about is None else "oldest")
        if order not in ("oldest", "newest"):
            raise Malformed("`order` is oldest or newest.")
        limit = paging.limit_of(request)
        page = timeline.page(
            self._events(about), after=self._after(request), limit=limit + 1, newest_first=order == "newest"
        )
        following = paging.seal(request.path, timeline.place(page[limit - 1])) if page[limit:] else None
        return Response({"results": shown(page[:limit]), "next": following})

    def _events(self, about: str | None) -> QuerySet[Event]:
        events = self._readable(about)
        action = self.request.query_params.get("action")
        return events.filter(action=action) if action else events

    def _after(self, request: Request) -> timeline.EventPlace | None:
        cursor = request.query_params.get(paging.CURSOR)
        if cursor is None:
            return None
        place = paging.unseal(request.path, cursor)
        if len(place) != _PLACE:
            raise paging.BadCursor
        return timeline.EventPlace(datetime.fromisoformat(place[0]), UUID(place[1]), int(place[2]))

    def _readable(self, about: str | None) -> QuerySet[Event]:
        """Return what readers of the audit log read within their limits; for others, what is about a thing they see.

        Raises Forbidden, BadLink, NotFound.
        """
        reads = EVERYTHING if self.caller.is_script else self.caller.reach(*visibility.READERS)
        if about is None:
            if reads == NOTHING:
                raise Forbidden
            return visibility.log_events(self.caller, Event.objects.all())
        kind, _, key = about.partition(":")
        if not key and not reads.everything:
            raise BadLink
        if reads.everything or about == str(self.principal) or sees(self.caller, kind, key):
            return visibility.events(self.caller, timeline.about(about))
        if reads == NOTHING or kind in KINDS:
            raise NotFound
        return visibility.log_events(self.caller, timeline.about(about))


def sees(caller: Caller, kind: str, key: str) -> bool:
    """Whether the caller sees a thing that events are about; what happened at a system is its owner's to read."""
    if (known := KINDS.get(kind)) is None:
        return False
    try:
        where: dict[str, Any] = {known.lookup: UUID(key) if known.is_uuid else key}
    except ValueError:
        return False
    if kind == "tool":
        where = dict(zip(("system__slug", "name"), key.split("/", 1), strict=False))
    thing = known.rows(caller).filter(**where).first()
    return thing is not None and (kind not in ("system", "tool") or role_reach.reaches(caller, thing))


class LatestCheckpoint(Endpoint):
    """Show the latest signed checkpoint. It is text: a C2SP signed note."""

    @extend_schema(responses={(200, "text/plain"): OpenApiTypes.STR})
    def get(self, request: Request) -> HttpResponseBase:  # noqa: ARG002 - the framework's signature
        """Answer with the note."""
        note = Checkpoint.objects.order_by("-size").values_list("note", flat=True).first()
        if note is None:
            raise NoCheckpoint
        return HttpResponse(note, content_type="text/plain; charset=utf-8")


class Export(Endpoint):
    """Export the sealed events of a range.

    One JSON object a line, as the offline verifier reads them. That you took a copy is itself an event.
    """

    parameters = frozenset({"from", "to"})

    @extend_schema(
        parameters=[
            OpenApiParameter("from", str, description="An index or a moment; the beginning without it."),
            OpenApiParameter("to", str, description="An index or a moment, exclusive; the end without it."),
        ],
        responses={(200, "application/x-ndjson"): OpenApiTypes.STR},
    )
    def get(self, request: Request) -> HttpResponseBase:
        """Record that the caller takes a copy, then stream it."""
        first = _index(request.query_params.get("from"), 0)
        last = min(_index(request.query_params.get("to"), end := stream.end()), end)
        with transaction.atomic():
            log.record(Action.AUDIT_LOG_EXPORTED, by=self.principal, detail={"first": first, "last": last})
        answer = StreamingHttpResponse(jsonl.lines(first, last), content_type="application/x-ndjson")
        answer["Content-Disposition"] = f'attachment; filename="record-{first}-{last}.jsonl"'
        return answer


def _index(value: str | None, otherwise: int) -> int:
    if value is None:
        return otherwise
    if value.isascii() and value.isdigit() and len(value) <= 18:  # noqa: PLR2004 - the digits of 2^63
        return int(value)
    try:
        moment = parse_datetime(value)
        if moment is None or moment.tzinfo is None:
            raise BadRange
        return jsonl.index_at(moment.astimezone(UTC))
    except (ValueError, OverflowError) as error:  # no such day, or one outside of the calendar in UTC
        raise BadRange from error


class ProofSerializer(OutputSerializer):
    """Shows that an event is in the tree that the checkpoint signs (RFC 9162)."""

    index = serializers.IntegerField()
    leaf = serializers.CharField()
    path = serializers.ListField(child=serializers.CharField())
    checkpoint = serializers.CharField()


class Proof(Endpoint):
    """Prove that an event is in the newest checkpoint.

    The answer is the inclusion proof (RFC 9162), its hashes in hexadecimal.
    """

    @extend_schema(responses=ProofSerializer)
    def get(self, request: Request, index: int) -> Response:  # noqa: ARG002 - as above
        """Answer with the inclusion proof, hashes in hexadecimal."""
        leaf = Leaf.objects.filter(index=index).first()
        try:
            proof = proofs.inclusion(leaf.producer, leaf.sequence) if leaf else None
        except proofs.NoSuchProof:
            proof = None
        if proof is None:
            raise NoProof
        path = [step.hex() for step in proof.path]
        return Response({"index": proof.index, "leaf": proof.leaf.hex(), "path": path, "checkpoint": proof.note})
