"""What people do to bring in running agents: each action declared once, for API and console."""

from __future__ import annotations

from django.db.models import QuerySet
from django.utils.translation import gettext_lazy as _
from django.utils.translation import ngettext

from entitlements.access.caller import Caller
from entitlements.agents.actions import AGENT
from entitlements.api.actions import NEW, Action, Performed, Subject, person
from entitlements.unmanaged_agents import unmanaged_agents
from entitlements.unmanaged_agents.models import UnmanagedAgent
from governance.onboarding import batches, move, queries, sponsorship


def _seen(caller: Caller) -> QuerySet[UnmanagedAgent]:
    rows = UnmanagedAgent.objects.select_related("agent")
    return rows if caller.sees_everything else rows.none()


def _asked(performed: Performed) -> str:
    count = len(performed.result)
    return ngettext("One sponsor answer is asked for.", "%(n)d sponsor answers are asked for.", count) % {"n": count}


def _confirmed(performed: Performed) -> str:
    return _("Onboarded: %(agents)d agents with %(grants)d grants. The grants expire within 30 days.") % {
        "agents": performed.result.agents,
        "grants": performed.result.grants,
    }


BATCH = Subject(lambda caller: queries.files(caller.human, everything=caller.sees_everything), batches.about, by=person)
SEEN = Subject(_seen, unmanaged_agents.about)

BRING = Action("adoptions", NEW, batches.prepare, input=None, by=person)
ASK_SPONSORS = Action("adoption-ask", BATCH, sponsorship.ask, input=None, done=_asked)
ANSWER = Action(
    "adoption-answer",
    BATCH,
    sponsorship.answer,
    input=None,
    done=lambda performed: _("Accepted. An analyst confirms next.") if performed.values["accept"] else _("Declined."),
)
CONFIRM = Action("adoption-confirm", BATCH, batches.confirm, done=_confirmed)

CUT_OVER = Action(
    "agent-cut-over", AGENT, move.cut_over, input=None, by=person, done=_("The agent uses the gateway from now on.")
)
UNDO = Action("agent-adoption-undo", AGENT, move.roll_back, by=person, done=_("Undone. Onboarded access has ended."))

MATCH = Action(
    "seen-agent-match",
    SEEN,
    unmanaged_agents.match,
    input=None,
    done=lambda performed: _("Matched with %(name)s.") % {"name": performed.values["agent"].name},
)
BLOCK = Action(
    "seen-agent-block", SEEN, unmanaged_agents.block, done=_("Blocked. No client registers under this name.")
)
UNBLOCK = Action("seen-agent-unblock", SEEN, unmanaged_agents.unblock, done=_("The name is no longer blocked."))
