"""What people do about separation of duties: each action declared once, for API and console."""

from __future__ import annotations

from django.db.models import QuerySet
from django.utils.translation import gettext_lazy as _

from entitlements.access import visibility
from entitlements.access.caller import Caller
from entitlements.api.actions import NEW, Action, Subject, person
from governance.sod import agent_calls, exceptions, policies
from governance.sod.models import AgentCall, SodException, SodPolicy


def _calls(caller: Caller) -> QuerySet[AgentCall]:
    """Return the calls from or to an agent that the caller sees."""
    seen = visibility.agents(caller)
    rows = AgentCall.objects.select_related("caller", "callee")
    return rows.filter(caller__in=seen) | rows.filter(callee__in=seen)


POLICY = Subject(
    lambda _caller: SodPolicy.objects.select_related("proposed_by", "confirmed_by"),
    policies.KIND.about,
    by=person,
    by_key=True,
)
EXCEPTION = Subject(
    lambda _caller: SodException.objects.select_related("rule", "agent", "given_by"),
    exceptions.about,
    by=person,
    by_key=True,
)
CALL = Subject(_calls, agent_calls.about, by_key=True)

PROPOSE = Action(
    "sod-policies", NEW, policies.propose, input=None, by=person, done=_("Proposed. Another person publishes it.")
)
PUBLISH = Action("sod-policy-publish", POLICY, policies.KIND.confirm, done=_("Published. It is in force from now on."))
WITHDRAW = Action("sod-policy-withdraw", POLICY, policies.KIND.withdraw, done=_("Withdrawn."))

GIVE_EXCEPTION = Action(
    "sod-exceptions",
    NEW,
    exceptions.give,
    input=None,
    by=person,
    done=_("Exception given. It ends on its end date."),
)
END_EXCEPTION = Action(
    "sod-exception-end",
    EXCEPTION,
    exceptions.end,
    done=_("Exception ended. The access that it allowed is suspended within a minute."),
)

ALLOW_CALL = Action(
    "agent-calls", NEW, agent_calls.allow, input=None, done=_("Allowed. SoD policies count both agents together.")
)
END_CALL = Action("agent-call-end", CALL, agent_calls.end, done=_("Ended. The agent may no longer call the other."))
