"""What people and programs do with agents: each action declared once, for API and console."""

from __future__ import annotations

from django.utils.translation import gettext_lazy as _
from rest_framework import serializers

from entitlements.access import visibility
from entitlements.agents import agents, lifecycle, versions
from entitlements.agents.models import Agent, AgentTypeRule
from entitlements.api.actions import NEW, Action, Performed, Subject
from entitlements.api.fields import InputSerializer, Slug, StopInputSerializer, Text


class AgentInputSerializer(InputSerializer):
    """A new agent. An ephemeral one has an end; a staged one works only after its sponsor activates it."""

    slug = Slug()
    name = Text(max_length=200)
    kind = serializers.ChoiceField(choices=Agent.Kind.choices)
    purpose = Text(max_length=500, default="", allow_blank=True)
    sponsor = Text(max_length=64)
    owner = Text(max_length=64, allow_null=True, default=None)
    ends_at = serializers.DateTimeField(allow_null=True, default=None)
    staged = serializers.BooleanField(default=False)


class AgentChangesInputSerializer(InputSerializer):
    """What can be edited; sponsor and owner change by their own acts, with the consent of the new ones."""

    name = Text(max_length=200, required=False)
    purpose = Text(max_length=500, required=False, allow_blank=True)


class CriticalityInputSerializer(InputSerializer):
    """Whether the business depends on the agent, and why."""

    business_critical = serializers.BooleanField()
    reason = Text(max_length=500)


def _rated(performed: Performed) -> str:
    critical = performed.values["business_critical"]
    said = _("No review stops %(name)s by itself any more.") if critical else _("A review may stop %(name)s by itself.")
    return said % {"name": performed.row.name}


class AgentTypeInputSerializer(InputSerializer):
    """Whether agents of the kind may be registered from now on, and why."""

    allowed = serializers.BooleanField()
    reason = Text(max_length=500)


AGENT = Subject(visibility.agents, lambda agent: [f"agent:{agent.slug}"], ("slug",))

KIND = Subject(lambda _caller: AgentTypeRule.objects.all(), lookup=("kind",), permitted_on=lambda _kind: None)
"""A kind of agents; one without a rule is allowed."""

REGISTER = Action(
    "agents",
    NEW,
    agents.register,
    input=AgentInputSerializer,
    done=_("Registered. Next, register the client with which it signs in."),
)
EDIT = Action("agent", AGENT, agents.edit, input=AgentChangesInputSerializer, method="PATCH", done=_("Saved."))
RATE = Action(
    "agent-criticality", AGENT, agents.set_criticality, input=CriticalityInputSerializer, method="PUT", done=_rated
)
ACTIVATE = Action("agent-activate", AGENT, agents.activate, done=_("%(name)s is active, and you are its owner."))
SUSPEND = Action("agent-suspend", AGENT, agents.suspend, input=StopInputSerializer, stops="agent")
RESTORE = Action("agent-restore", AGENT, agents.restore, done=_("%(name)s is restored. Its old tokens stay revoked."))
RETIRE = Action(
    "agent-retire",
    AGENT,
    agents.retire,
    input=StopInputSerializer,
    stops="agent",
    done=_("%(name)s is retired. It gets no token and no call passes."),
)
REPORT_VERSION = Action("agent-versions", AGENT, versions.report, input=None)
SET_TYPE_RULE = Action(
    "kind-of-agents",
    KIND,
    lifecycle.set_kind_rule,
    input=AgentTypeInputSerializer,
    method="PUT",
    done=_("Saved. It applies to agents registered from now on."),
)
