"""Changes of rules above grants that can be replayed: a guardrail, and a session policy, with the terms of a proposal.

A known name changes the rule of that name, another one adds a rule. The guardrail counts as enforced.
"""

from __future__ import annotations

import json
import math
from collections.abc import Collection, Mapping
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import Any, ClassVar

from django.db.models import QuerySet
from rest_framework.exceptions import ValidationError

from entitlements.access.caller import Caller
from entitlements.api.fields import Lasts
from entitlements.catalog.models import System, Tool
from entitlements.decisions.snapshot import AgentFacts
from entitlements.guardrails import guardrails
from entitlements.guardrails import terms as guardrail_terms
from entitlements.guardrails.rules import Guardrail
from entitlements.session_policies import proposals, rules
from entitlements.session_policies.actions import SessionPolicyInputSerializer
from entitlements.session_policies.models import SessionPolicy
from governance.what_if.change import ChangeMalformed, check_fields


@dataclass(frozen=True, slots=True)
class GuardrailChange:
    """A guardrail with these terms, enforced."""

    kind: ClassVar[str] = "guardrail"
    rule: Guardrail

    @classmethod
    def read(cls, body: Mapping[str, Any], caller: Caller | None) -> GuardrailChange:  # noqa: ARG003 - no limit of roles
        """Read `name`, `effect`, `when`, and of a step-up `max_age` and `acr`.

        Raises ChangeMalformed, GuardrailMalformed.
        """
        check_fields(body, {"kind", "name", "effect", "when"}, {"max_age", "acr"})
        acr = guardrail_terms.contexts(body.get("acr", []))
        terms = guardrails.terms(body["name"], body["effect"], body["when"], _length(body.get("max_age")), acr)
        stored = (terms["key"], terms["name"], 0, terms["effect"], "enforce", json.dumps(terms["conditions"]))
        (rule,) = guardrail_terms.compile_all([(*stored, terms["max_age"], json.dumps(terms["acr"]))])
        return cls(rule)

    def about(self) -> list[str]:
        """Return the guardrail."""
        return [f"guardrail:{self.rule.key}"]

    def calls(self) -> Collection[str] | None:
        """Return the tools that it names, or else the systems."""
        if self.rule.tools is None:
            return None if self.rule.systems is None else [f"system:{system}" for system in self.rule.systems]
        named = {name for system, name in self.rule.tools if not system}
        anywhere = Tool.objects.filter(name__in=named).values_list("system__slug", "name")
        tools = {(system, name) for system, name in self.rule.tools if system}.union(anywhere)
        return [f"tool:{system}/{name}" for system, name in sorted(tools)]

    def systems(self) -> QuerySet[System]:
        """Return those that it names, or of which it names a tool; else all."""
        links, rows = self.calls(), System.objects.filter(entitlements__grants__isnull=False)
        if links is None:
            return rows
        return rows.filter(slug__in={link.partition(":")[2].partition("/")[0] for link in links})

    def begins(self) -> float:
        """Return that it would hold at once."""
        return -math.inf

    def apply(self, facts: AgentFacts) -> AgentFacts:
        """Put it beside the others, in the place of the one with its name."""
        others = tuple(rule for rule in facts.guardrails if rule.key != self.rule.key)
        return replace(facts, guardrails=(*others, self.rule))


@dataclass(frozen=True, slots=True)
class SessionPolicyChange:
    """A session policy with these terms, in force, beside the `others` that are."""

    kind: ClassVar[str] = "session_policy"
    policy: SessionPolicy
    others: tuple[SessionPolicy, ...]

    @classmethod
    def read(cls, body: Mapping[str, Any], caller: Caller | None) -> SessionPolicyChange:  # noqa: ARG003 - as above
        """Read the fields of a proposal. Raises ChangeMalformed, PolicyMalformed."""
        fields = {name: value for name, value in body.items() if name != "kind"}
        read = SessionPolicyInputSerializer(data={**fields, "reason": "-"})
        if not read.is_valid() or "reason" in fields:
            raise ChangeMalformed(fields=sorted({*read.errors} or ["reason"]))
        given = {name: value for name, value in read.validated_data.items() if name != "reason"}
        policy = proposals.draft(given.pop("name"), **given)
        rows = SessionPolicy.objects.filter(state=SessionPolicy.State.IN_FORCE).exclude(name=policy.name)
        return cls(policy, tuple(rows.select_related("system").order_by("name")))

    def about(self) -> list[str]:
        """Return the policy."""
        return proposals.KIND.about(self.policy)

    def calls(self) -> Collection[str] | None:
        """Return its system; with none, every call."""
        return None if self.policy.system is None else [f"system:{self.policy.system.slug}"]

    def systems(self) -> QuerySet[System]:
        """Return its system; with none, all."""
        rows = System.objects.filter(entitlements__grants__isnull=False)
        return rows if self.policy.system is None else rows.filter(pk=self.policy.system.pk)

    def begins(self) -> float:
        """Return that it would hold at once."""
        return -math.inf

    def apply(self, facts: AgentFacts) -> AgentFacts:
        """Combine the policies that apply to the agent at the system, as they are read for a decision."""
        applying = [row.rule for row in (*self.others, self.policy) if self._applies(row, facts)]
        return replace(facts, session_terms=rules.levels(sorted(applying, key=lambda rule: rule.name)))

    def _applies(self, row: SessionPolicy, facts: AgentFacts) -> bool:
        return row.agent_kind in ("", facts.kind) and (row.system is None or row.system.slug in facts.systems)


def _length(text: object) -> timedelta | None:
    try:
        return None if text is None else Lasts().to_internal_value(text)
    except ValidationError as error:
        raise ChangeMalformed("`max_age` is an ISO 8601 duration, like PT5M.") from error
