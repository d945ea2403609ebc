"""What people do about who answers for an agent: each action declared once, for API and console."""

from __future__ import annotations

from django.db.models import QuerySet
from django.utils.translation import gettext_lazy as _

from entitlements.access import visibility
from entitlements.access.caller import Caller
from entitlements.agents.actions import AGENT
from entitlements.api.actions import Action, Subject, person
from entitlements.api.fields import InputSerializer, Text
from governance.ownership import dormancy, ownership
from governance.ownership.models import OwnershipProposal


class ProposedPerson(InputSerializer):
    """The proposed person, and the reason."""

    person = Text(max_length=64)
    reason = Text(max_length=500)


def visible(caller: Caller) -> QuerySet[OwnershipProposal]:
    """Return proposals to oneself, and those about the agents that one sees."""
    rows = OwnershipProposal.objects.select_related("agent", "person")
    about = rows.filter(agent__in=visibility.agents(caller).values("pk"))
    return about | rows.filter(person=caller.human) if caller.human else about


def _propose(office: OwnershipProposal.Office) -> Action:
    return Action(
        f"agent-{office}",
        AGENT,
        lambda agent, *, by, person, reason: ownership.propose(agent, office, person, by=by, reason=reason),
        input=ProposedPerson,
    )


PROPOSAL = Subject(visible, ownership.about, by=person, by_key=True)

PROPOSE = {office: _propose(office) for office in OwnershipProposal.Office}
"""By office: ask a person, who has a week to answer."""
ACCEPT = Action(
    "proposal-accept",
    PROPOSAL,
    ownership.accept,
    input=None,
    done=lambda performed: _("You answer for %(name)s from now on.") % {"name": performed.row.agent.name},
)
DECLINE = Action(
    "proposal-decline",
    PROPOSAL,
    ownership.decline,
    done=_("You declined. The person who asked you will ask another person."),
)
KEEP = Action("agent-keep", AGENT, dormancy.keep, by=person, done=_("%(name)s is kept. That counts as a use."))
