"""Revocations: stop anything, wait until every gateway node obeys, and keep the receipt."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import datetime
from http import HTTPStatus
from typing import Any, ClassVar, Final
from uuid import UUID

from django.db.models import QuerySet
from django_filters import rest_framework as filters
from drf_spectacular.utils import OpenApiParameter, extend_schema, extend_schema_field
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.serializers import BaseSerializer

from entitlements.access import visibility
from entitlements.access.caller import Caller
from entitlements.agents.models import Agent
from entitlements.api import permissions
from entitlements.api.endpoints import Endpoint
from entitlements.api.fields import InputSerializer, OutputSerializer, Text, Ticket
from entitlements.api.resources import ActionEndpoint, CreateEndpoint, Detail, Listing, Resource
from entitlements.decisions import guardrails
from entitlements.errors import DomainError, NotFound
from entitlements.foreign_tokens.api import MeasuredEndsSerializer
from entitlements.gateway.models import Guardrail
from entitlements.people.models import Role
from entitlements.permissions.matrix import ALWAYS, MATRIX, REVOKE, Row, row
from entitlements.revocation import actions, effects, record_keys, revocation, tickets
from entitlements.revocation.models import Drill, Revocation, RevocationProof, Stop
from entitlements.revocation.targets import PERSON_AGENTS, agents_of
from entitlements.token_families import person_sign_ins


@dataclass(frozen=True, slots=True)
class _TargetKind:
    """How one kind of target is found, and whose row of the matrix says who may stop it."""

    rows: Callable[[Caller], QuerySet[Any]]
    lookup: str
    row: Row
    is_uuid: bool = False


def _stop(name: str) -> Row:
    return MATRIX[name, "POST"]


KINDS: Final = {
    "grant": _TargetKind(visibility.grants, "pk", _stop("grant-revoke"), is_uuid=True),
    "session": _TargetKind(visibility.sessions, "pk", _stop("session-end"), is_uuid=True),
    "token": _TargetKind(visibility.tokens, "pk", _stop("token-revoke"), is_uuid=True),
    "token_family": _TargetKind(visibility.token_families, "pk", _stop("token-family-revoke"), is_uuid=True),
    revocation.SIGN_INS: _TargetKind(
        visibility.people, "login", replace(_stop("session-end"), related=frozenset({"themselves"}))
    ),
    "tool": _TargetKind(visibility.tools, "name", _stop("tool-disable")),
    "system": _TargetKind(visibility.systems, "slug", _stop("system-disable")),
    "client": _TargetKind(visibility.clients, "client_id", _stop("client-disable")),
    "agent": _TargetKind(visibility.agents, "slug", _stop("agent-suspend")),
    "person": _TargetKind(visibility.people, "login", _stop("person-disable")),
    PERSON_AGENTS: _TargetKind(visibility.people, "login", _stop("person-disable")),
}
EVERYTHING: Final = row(Role.ANALYST, Role.SECURITY, Role.RESPONDER, scope=REVOKE, proven=ALWAYS)


class NothingStopped(DomainError):
    """Nothing was restored, because not everything was stopped."""

    code, status = "not_stopped", HTTPStatus.CONFLICT


class RevocationFilter(filters.FilterSet):
    """Filters of the list."""

    type = filters.CharFilter(field_name="target_type")
    id = filters.CharFilter(field_name="target_id")
    ticket = filters.CharFilter()

    class Meta:
        model = Revocation
        fields: ClassVar[list[str]] = []


class TargetInputSerializer(InputSerializer):
    """What to stop: `id` is a slug, login, client identifier, uuid, `system/tool`, or of everything that word.

    Of `sign_ins`, all that is connected as a person: their login, or `login/client identifier` for one client.
    """

    type = serializers.ChoiceField(choices=[*KINDS, guardrails.EVERYTHING])
    id = Text(max_length=1200, default="", allow_blank=True, trim_whitespace=False)


class RevocationInputSerializer(InputSerializer):
    """The target, the reason and the ticket; `wait` for the nodes, or fetch the receipt later."""

    target = TargetInputSerializer()
    reason = Text(max_length=500)
    ticket = Ticket()
    wait = serializers.BooleanField(default=True)


class TargetSerializer(OutputSerializer):
    """What was stopped."""

    type = serializers.CharField(source="target_type")
    id = serializers.CharField(source="target_id")


class RevocationProofSerializer(OutputSerializer):
    """A proof: what each gateway node answered to calls that the revocation forbids, and which could not be asked.

    `record` is the same, signed. Of an answer, `call` counts into the `calls` of that; `status` is 403 for a call
    that the node refuses, and 200 for one that it would let pass.
    """

    id = serializers.UUIDField()
    by = serializers.CharField()
    began_at = serializers.DateTimeField()
    result = serializers.ChoiceField(choices=RevocationProof.Result.choices)
    answers = serializers.ListField(child=serializers.DictField())
    unproven = serializers.ListField(child=serializers.DictField())
    record = serializers.CharField()


class DrillSerializer(OutputSerializer):
    """What it ended, or of a drill would have, which nodes obeyed and when, which did not, and the receipt.

    `covered` counts access tokens, ID-JAGs and sessions, and of a person with their agents those; `effect` counts what
    it reached before, as `GET /revocations/effect` does. Both are empty on what is older than they are.
    """

    id = serializers.UUIDField()
    target = TargetSerializer(source="*")
    by = serializers.CharField()
    reason = serializers.CharField()
    ticket = serializers.CharField()
    position = serializers.IntegerField(allow_null=True)
    committed_at = serializers.DateTimeField()
    effect = serializers.DictField(child=serializers.IntegerField())
    covered = serializers.DictField(child=serializers.IntegerField())
    acknowledged = serializers.ListField(child=serializers.DictField())
    missing = serializers.ListField(child=serializers.DictField())
    residual = serializers.ListField(child=serializers.DictField())
    receipt = serializers.CharField()
    receipt_standing = serializers.SerializerMethodField(
        help_text="What the receipt's signature is worth: see the keys at `/records/jwks.json`. Null without a receipt."
    )

    @extend_schema_field(serializers.ChoiceField(choices=[*record_keys.Standing], allow_null=True))
    def get_receipt_standing(self, row: Stop) -> str | None:
        """Look the receipt's key up; the keys are read once a request."""
        kept = self.root.__dict__
        if "record_keys" not in kept:
            kept["record_keys"] = record_keys.known()
        return revocation.receipt_standing(row, kept["record_keys"])


class RevocationSerializer(DrillSerializer):
    """What it ended, which nodes obeyed after how long, which are missing, the residual access, receipt and proofs."""

    proofs = RevocationProofSerializer(many=True, source="proofs.all")
    measured_ends = MeasuredEndsSerializer(
        source="ends", allow_null=True, help_text="Null where no token of another server was left."
    )
    kept_outside_at = serializers.SerializerMethodField(
        help_text="Since when a copy is outside the database, so that no restored backup undoes it. Null: not yet."
    )

    @extend_schema_field(serializers.DateTimeField(allow_null=True))
    def get_kept_outside_at(self, row: Revocation) -> datetime | None:
        """Ask what the sealer has written down."""
        return revocation.kept_outside_at(row)


class _Revocations(Resource):
    shown: ClassVar[type[BaseSerializer[Any]]] = RevocationSerializer

    def rows(self) -> QuerySet[Any]:
        seen = visibility.revocations(self.caller).select_related("ends")
        return seen.prefetch_related("proofs", "ends__tokens__system")

    def links(self, row: Any) -> list[str]:  # noqa: ANN401 - a row
        return [row.link]


class Revocations(_Revocations, Listing):
    """List revocations, and revoke access.

    get: List revocations, the newest first.
    post: Revoke access at once. The target is a grant, session, token, token family, tool, system, client, agent or
        person, or `everything` (the kill switch). With `wait` the answer comes once every gateway node has obeyed,
        and carries the signed revocation receipt and the residual access.
    """

    filterset_class = RevocationFilter
    ordering = ("-committed_at", "-id")
    asked = RevocationInputSerializer
    answers = HTTPStatus.CREATED
    durable = True  # the nodes must see the change while we wait for them

    def post(self, request: Request) -> Response:  # noqa: ARG002 - the framework's signature
        """Stop the target, and answer with the receipt."""
        values = self.body(RevocationInputSerializer)
        if values["target"]["type"] == guardrails.EVERYTHING:
            permissions.permit(self.caller, EVERYTHING, None)
        target = revocation.Target(values["target"]["type"], values["target"]["id"])
        ticket = tickets.given(target.type, self._permit(target), self.caller.human, values["ticket"])
        return self._stop(target, by=self.principal, reason=values["reason"], wait=values["wait"], ticket=ticket)

    def _stop(self, target: revocation.Target, **why: Any) -> Response:  # noqa: ANN401 - as `revoke` takes it
        row = revocation.revoke(target, **why)
        return self.show(row, status=HTTPStatus.CREATED, headers={"Location": f"/api/v1/revocations/{row.pk}"})

    def _permit(self, target: revocation.Target) -> Any:  # noqa: ANN401 - any row that can be stopped
        """Ask the row of this very stop about its object, and return the object. Raises NotFound, Forbidden."""
        thing = None
        self.about = [] if target.type == guardrails.EVERYTHING else [f"{target.type}:{target.id}"]
        if target.type == guardrails.EVERYTHING:
            permissions.permit(self.caller, EVERYTHING, None)
            self.weigh(weighs=EVERYTHING.needs_proof())
        else:
            thing = permitted(self.caller, target)
        self._permitted = True
        return thing


class DrillFilter(RevocationFilter):
    """Filters of the list."""

    class Meta:
        model = Drill
        fields: ClassVar[list[str]] = []


class Drills(Revocations):
    """List drills, and drill a revocation.

    get: List drills, the newest first.
    post: Drill the revocation of a target. The same action is carried out and undone before anybody sees it, the same
        gateway nodes acknowledge, and everything is measured. Nothing is stopped. The receipt says that it is a drill.
    """

    filterset_class = DrillFilter
    shown = DrillSerializer

    def rows(self) -> QuerySet[Any]:
        """Return what the caller sees."""
        return visibility.drills(self.caller)

    def _stop(self, target: revocation.Target, **why: Any) -> Response:  # noqa: ANN401 - as `drill` takes it
        row = revocation.drill(target, **why)
        return self.show(row, status=HTTPStatus.CREATED, headers={"Location": f"/api/v1/drills/{row.pk}"})


class OneDrill(_Revocations, Detail):
    """Show a drill with its receipt."""

    shown = DrillSerializer

    def rows(self) -> QuerySet[Any]:
        """Return what the caller sees."""
        return visibility.drills(self.caller)


class EffectSerializer(OutputSerializer):
    """What a revocation of the target would reach now.

    `dependents` are other agents that may act through its agents; `vendors` systems at which tokens may live that
    Mandate did not issue; `calls_per_hour` those that were allowed in the last hour; `families` refresh tokens.
    """

    agents = serializers.IntegerField()
    grants = serializers.IntegerField()
    sessions = serializers.IntegerField()
    tokens = serializers.IntegerField()
    people = serializers.IntegerField()
    families = serializers.IntegerField()
    calls_per_hour = serializers.IntegerField()
    dependents = serializers.IntegerField()
    vendors = serializers.IntegerField()
    residual = serializers.ListField(child=serializers.DictField())


class Effect(Endpoint):
    """Show what a revocation would reach, before it is made."""

    parameters = frozenset({"type", "id"})

    @extend_schema(
        parameters=[
            OpenApiParameter("type", str, required=True, enum=[*KINDS, guardrails.EVERYTHING]),
            OpenApiParameter("id", str, required=True, description="As of the target of a revocation."),
        ],
        responses=EffectSerializer,
    )
    def get(self, request: Request) -> Response:
        """Return the counts, to those who may make the revocation."""
        target = revocation.Target(request.query_params.get("type", ""), request.query_params.get("id", ""))
        if target.type == guardrails.EVERYTHING:
            permissions.permit(self.caller, EVERYTHING, None)
            thing = None
        else:
            thing = permitted(self.caller, target)
        found = effects.count_effects(target.type, thing, target.id)
        return Response(EffectSerializer({**found, "residual": revocation.residual(target)}).data)


class Prove(ActionEndpoint):
    """Prove a revocation.

    Each gateway node is asked for calls that it forbids, and what each answers is signed. The nodes decide as they
    decide a call, and send nothing to any system. A node that does not answer is named.
    """

    action = actions.PROVE
    shown = RevocationProofSerializer
    shows_result = True
    answers = HTTPStatus.CREATED
    durable = True  # nodes are waited for, and a transaction would stay open


class KillSwitchSerializer(OutputSerializer):
    """Whether everything is stopped, why, and since when."""

    stopped = serializers.BooleanField(source="on")
    reason = serializers.CharField()
    changed_at = serializers.DateTimeField()


class RestoreEverything(CreateEndpoint):
    """Restore all agents after the kill switch. The person who used it cannot restore them."""

    action = actions.RESTORE_EVERYTHING
    shows_result = True
    shown = KillSwitchSerializer
    answers = HTTPStatus.OK

    def look_first(self) -> None:
        """Ask for the role before a proof is asked for."""
        permissions.permit(self.caller, self.row, None)

    def read(self) -> dict[str, Any]:
        """Read why. Raises NothingStopped."""
        self.permit(None, f"guardrail:{guardrails.EVERYTHING}")
        values = super().read()
        if not Guardrail.objects.filter(name=guardrails.EVERYTHING, on=True).exists():
            raise NothingStopped
        return values


class One(_Revocations, Detail):
    """Show a revocation with its receipt.

    The receipt is there once every gateway node has acknowledged, or its lease has lapsed.
    """


def permitted(caller: Caller, target: revocation.Target) -> Any:  # noqa: ANN401 - any row that can be stopped
    """Return what a stop is about, among what the caller sees, after its kind's row lets them stop it.

    A person with their agents is stopped by who may disable the person and suspend each of the agents. Raises NotFound,
    Forbidden.
    """
    if (kind := KINDS.get(target.type)) is None:
        raise NotFound
    where: dict[str, Any] = {kind.lookup: _uuid(target.id) if kind.is_uuid else target.id}
    if target.type == "tool":
        system, _, name = target.id.partition("/")
        where = {"system__slug": system, "name": name}
    elif target.type == revocation.SIGN_INS:
        where = {kind.lookup: person_sign_ins.PersonClient.named(target.id).login}
    thing = kind.rows(caller).filter(**where).first()
    if thing is None:
        raise NotFound
    permissions.permit(caller, kind.row, thing)
    if target.type == PERSON_AGENTS:
        for agent in Agent.objects.filter(agents_of(target.id)).select_related("sponsor"):
            permissions.permit(caller, KINDS["agent"].row, agent)
    return thing


def _uuid(text: str) -> UUID:
    try:
        return UUID(text)
    except ValueError as error:
        raise NotFound from error
