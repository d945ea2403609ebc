"""What people and programs do with permissions to delegate: each action declared once, for API and console."""

from __future__ import annotations

from django.db.models import QuerySet
from django.utils.translation import gettext_lazy as _

from audit.context import Principal
from entitlements.access import visibility
from entitlements.access.caller import Caller
from entitlements.agents.actions import AGENT
from entitlements.agents.models import Agent
from entitlements.api.actions import Action, Subject
from entitlements.api.fields import InputSerializer, StopInputSerializer, Text
from entitlements.delegation import permissions
from entitlements.delegation.models import DelegationPermission
from entitlements.errors import NotFound


class DelegationInputSerializer(InputSerializer):
    """Which agent may act for it, by its slug, and why."""

    actor = Text(max_length=64)
    reason = Text(max_length=500)


def _visible(caller: Caller) -> QuerySet[DelegationPermission]:
    return permissions.open_between(visibility.agents(caller))


def _permit(agent: Agent, *, actor: str, by: Principal, reason: str) -> DelegationPermission:
    found = Agent.objects.filter(slug=actor).first()
    if found is None:
        raise NotFound
    return permissions.permit(agent, actor=found, by=by, reason=reason)


PERMISSION = Subject(_visible, permissions.about, permitted_on=lambda permission: permission.agent)

PERMIT = Action(
    "agent-delegates",
    AGENT,
    _permit,
    input=DelegationInputSerializer,
    done=lambda performed: (
        _("%(name)s may act for it now, within what both may do.") % {"name": performed.result.actor.name}
    ),
)
WITHDRAW = Action(
    "delegation-withdraw",
    PERMISSION,
    permissions.withdraw,
    input=StopInputSerializer,
    stops="delegation",
    done=_("The permission to act for it has ended."),
)
