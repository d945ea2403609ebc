"""A catalogue that is kept elsewhere, as in git: plan what it would change here, and apply the plan."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta
from typing import Any, ClassVar

from rest_framework import serializers
from rest_framework.exceptions import ValidationError
from rest_framework.request import Request
from rest_framework.response import Response

from entitlements.access import visibility
from entitlements.api import permissions
from entitlements.api.endpoints import Endpoint
from entitlements.api.fields import InputSerializer, OutputSerializer, Slug, Text, duration
from entitlements.catalog import actions
from entitlements.catalog.api import entitlements as entitlements_api
from entitlements.catalog.api import tools
from entitlements.catalog.api.systems import KINDS
from entitlements.catalog.models import System, Tool
from entitlements.catalog_files import plans
from entitlements.errors import Forbidden, ReasonRequired
from entitlements.grants.models import Grant
from entitlements.people.api import known_person
from entitlements.people.models import Person
from entitlements.permissions.matrix import MATRIX


class DeclaredToolInputSerializer(tools.ApprovalInputSerializer):
    """A tool: what its approval says, or that it is disabled."""

    disabled = serializers.BooleanField(default=False)
    data_class = Text(max_length=32, required=False)
    sha256 = serializers.RegexField(r"^[0-9a-f]{64}$", required=False)
    sentence = Text(max_length=500, required=False)
    action = serializers.ChoiceField(choices=Tool.Does.choices, required=False)
    risk = serializers.ChoiceField(choices=Tool.Risk.choices, required=False)
    reason = None  # type: ignore[assignment]  # one for all
    accept = None  # type: ignore[assignment]  # a risk that an approval completes is accepted for one tool alone

    def validate(self, attrs: dict[str, Any]) -> dict[str, Any]:
        """Refuse an approval that leaves out what a person must decide."""
        missing = {"sha256", "sentence", "action", "risk"} - attrs.keys()
        if missing and not attrs["disabled"]:
            raise ValidationError(dict.fromkeys(sorted(missing), "Give this field, or mark the tool as disabled."))
        return attrs


class DeclaredEntitlementInputSerializer(entitlements_api.EntitlementChangesInputSerializer):
    """An entitlement; `tools` are limits by name, and all of its tools."""

    lines = None  # type: ignore[assignment]  # a mapping is read more easily where it is kept
    tools = serializers.DictField(child=serializers.DictField(), required=False, allow_empty=False)

    def validate(self, attrs: dict[str, Any]) -> dict[str, Any]:
        """Refuse tools beside a rule for them."""
        if "tools" in attrs and attrs.get("rule") is not None:
            raise ValidationError({"rule": "Name tools or a rule, not both."})
        return attrs


class DeclaredSystemInputSerializer(InputSerializer):
    """A system; a new one needs name, kind and owner."""

    name = Text(max_length=200, required=False)
    kind = serializers.ChoiceField(choices=KINDS, required=False)
    owner = Text(max_length=64, required=False)
    upstream_url = Text(max_length=500, required=False)
    tools = serializers.DictField(child=DeclaredToolInputSerializer(), required=False)
    entitlements = serializers.DictField(child=DeclaredEntitlementInputSerializer(), required=False)


class CatalogFileInputSerializer(InputSerializer):
    """What a catalogue shall be, by the slugs of systems; what it leaves out stays as it is."""

    systems = serializers.DictField(child=DeclaredSystemInputSerializer(), allow_empty=False)

    def validate_systems(self, value: dict[str, Any]) -> dict[str, Any]:
        """Refuse what is no slug."""
        for slug in value:
            Slug(max_length=63).run_validation(slug)
        return value


class PlanApplicationInputSerializer(CatalogFileInputSerializer):
    """What a catalogue shall be, the plan that was read, and why."""

    plan = serializers.RegexField(r"^[0-9a-f]{64}$")
    reason = Text(max_length=500)


class GrantLossSerializer(OutputSerializer):
    """What an open grant loses, and whom it serves."""

    grant = serializers.UUIDField()
    agent = serializers.CharField()
    people = serializers.ListField(child=serializers.CharField())
    groups = serializers.ListField(child=serializers.CharField())
    tools = serializers.ListField(child=serializers.CharField())


class PlanStepSerializer(OutputSerializer):
    """One change: the act, on what, each field from and to; who loses by it, and how many that one does not see."""

    act = serializers.CharField()
    about = serializers.CharField()
    change = serializers.DictField()
    loses = GrantLossSerializer(many=True)
    others = serializers.IntegerField()


class PlanUnreadySerializer(OutputSerializer):
    """What cannot be done yet, and why."""

    about = serializers.CharField()
    code = serializers.CharField()


class CatalogPlanSerializer(OutputSerializer):
    """What would change, or has. `plan` stands for just that, and is what is sent to apply it."""

    plan = serializers.CharField()
    applied = serializers.BooleanField()
    steps = PlanStepSerializer(many=True)
    unready = PlanUnreadySerializer(many=True)


class _Plans(Endpoint):
    shown: ClassVar[type[OutputSerializer]] = CatalogPlanSerializer

    def read(self, body: dict[str, Any]) -> dict[str, Any]:
        """Find the people who are named, and check the rights on each system. Raises NotFound, Forbidden."""
        slugs = body["systems"]
        known = System.objects.filter(slug__in=slugs)
        for declared in known:
            system = self.find(visibility.systems(self.caller), pk=declared.pk)
            self.permit(system, f"system:{system.slug}")
        if len(known) < len(slugs):
            self.may("systems", None)
        self._permitted = True
        for declared in slugs.values():
            if "owner" in declared:
                declared["owner"] = known_person(declared["owner"])
        systems: dict[str, Any] = slugs
        return systems

    def may(self, act: str, target: object) -> None:
        """Check the right to the single act, and its scopes. Raises Forbidden."""
        row = MATRIX[act, "PATCH" if act in ("system", "entitlement") else "POST"]
        if not permissions.lets_in(row, self.caller):
            raise Forbidden
        permissions.permit(self.caller, row, target)

    def plan_response(self, plan: plans.Plan, *, is_applied: bool) -> Response:
        """Answer with a plan; grants that the caller does not see are counted."""
        losing = [loss.grant.pk for step in plan.steps for loss in step.losses]
        seen = set(visibility.grants(self.caller).filter(pk__in=losing).values_list("pk", flat=True))
        steps = [_step(step, seen) for step in plan.steps]
        answer = {"plan": plan.digest(), "applied": is_applied, "steps": steps, "unready": plan.unready}
        return Response(CatalogPlanSerializer(answer).data)


class PlanCatalog(_Plans):
    """Plan a change of the catalogue.

    Send the catalogue as you keep it elsewhere; the answer lists what would change here, and who would lose what.
    Nothing is changed.
    """

    asked = CatalogFileInputSerializer

    def post(self, request: Request) -> Response:  # noqa: ARG002 - the framework's signature
        """Make the plan."""
        return self.plan_response(plans.make_plan(self.read(self.body(CatalogFileInputSerializer))), is_applied=False)


class ApplyCatalog(_Plans):
    """Apply a catalogue plan that you have read.

    All of it or nothing. Each step follows the rules of the single action.

    If the catalogue changed since, nothing is applied (`plan_stale`). If nothing is left to change, nothing happens.
    """

    asked = PlanApplicationInputSerializer

    def post(self, request: Request) -> Response:  # noqa: ARG002 - as above
        """Apply it."""
        body = self.body(PlanApplicationInputSerializer)
        if not body["reason"].strip():
            raise ReasonRequired
        systems, reason = self.read(body), body["reason"]
        plans.lock(plans.make_plan(systems), systems)
        plan = plans.make_plan(systems)
        if plan.steps and plan.digest() != body["plan"]:
            raise plans.PlanStale(plan=plan.digest())
        for step in plan.steps:
            self.about = [step.about]
            self.may(step.act, step.target)
            for loss in step.losses if "tools" in step.change else ():  # which are reduced, each with its event
                self.may("grant-revoke", loss.grant)
        response = self.plan_response(plan, is_applied=True)
        for step in plan.steps:
            plans.apply_step(
                step,
                by=self.principal,
                reason=reason,
                approve=lambda tool, approval: self.approve(tool, approval, reason),
            )
        if plan.steps:
            plans.record_applied(plan, by=self.principal, reason=reason)
        return response

    def approve(self, tool: Tool, approval: dict[str, Any], reason: str) -> Tool:
        """Approve a tool as the single act does."""
        values = tools.approval_of(tool, {**approval, "reason": reason, "accept": ""})
        return actions.approve(tool, **values, by=self.caller)


def _step(step: plans.Step, seen: set[Any]) -> dict[str, Any]:
    losses = [loss for loss in step.losses if loss.grant.pk in seen]
    return {
        "act": step.act,
        "about": step.about,
        "change": {name: {"from": _as_json(was), "to": _as_json(now)} for name, (was, now) in step.change.items()},
        "loses": [{"tools": loss.tools, **_served(loss.grant)} for loss in losses],
        "others": len(step.losses) - len(losses),
    }


def _served(grant: Grant) -> Mapping[str, Any]:
    subjects = grant.subjects.all()
    return {
        "grant": grant.pk,
        "agent": grant.agent.slug,
        "people": sorted(each.person.login for each in subjects if each.person),
        "groups": sorted(each.group.slug for each in subjects if each.group),
    }


def _as_json(value: Any) -> Any:  # noqa: ANN401 - what a field of a row may hold
    match value:
        case timedelta():
            return duration(value)
        case Person():
            return value.login
    return value
