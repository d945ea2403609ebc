"""The work queue of a person: all that waits for their decision, and nothing that they may not decide."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import islice
from typing import Any, Final

from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from entitlements.access import reauthentication
from entitlements.access.caller import Caller
from entitlements.people.models import Person
from governance.break_glass import queries as break_glass
from governance.console import doors
from governance.console.tags import spoken
from governance.proposals import facts as changes
from governance.requests.models import AccessRequest

from . import overview, waiting
from .queue_row import Choice, Decision, QueueRow, page

MOST: Final = 25
"""How many rows of one kind are read, and how many rows the queue shows."""


def of(caller: Caller, person: Person) -> list[QueueRow]:
    """Return what waits for a person, by due date and risk level."""
    rows = [*_requests(person), *_reviews(person), *_questions(person), *_spot_checks(person), *_break_glass(person)]
    rows += [*_ownership(person), *_credentials(person), *_dormant(person), *_auto_approvals(caller)]
    rows += _changes(caller, person)
    rows += [*_tools(caller), *_orphans(caller), *_ending(person), *_suspended(caller)]
    if doors.row("campaign-pause").roles & caller.roles:
        rows += overview.needs()
    return sorted(rows, key=QueueRow.weight)


def _requests(person: Person) -> Iterator[QueueRow]:
    for each in waiting.requests_for(person).prefetch_related("lines__tool")[:MOST]:
        words = {"agent": each.agent.name, "entitlement": each.entitlement.name, "time": spoken(each.lasts)}
        words["system"] = each.entitlement.system.name
        yield QueueRow(
            _("Access request"),
            _("%(agent)s requests “%(entitlement)s” in %(system)s for %(time)s") % words,
            page("request-page", each.pk),
            _("Decide"),
            each.answer_by,
            each.reason[:120],
            each.risk,
            None if each.risk in reauthentication.HIGH else _request_decision(each),
        )


def _request_decision(request: AccessRequest) -> Decision:
    """Approve or deny all that is requested. To approve less, or privileged access, a person opens its page."""
    kept = [("tool", line.tool.name) for line in request.lines.all() if line.kept]
    return Decision(
        page("request-page", request.pk),
        (Choice("verb", "approve", _("Approve"), reason=False, tone="primary"), Choice("verb", "deny", _("Deny"))),
        (("version", str(request.version)), *kept),
    )


def _reviews(person: Person) -> Iterator[QueueRow]:
    each: Any  # with what the query counted
    for each in waiting.reviews_for(person)[:MOST]:
        items = ngettext("%(n)d item to review", "%(n)d items to review", each.waiting) % {"n": each.waiting}
        if each.asks_if_needed:
            items += ". " + _("Your decision also says whether the agent is still needed; without one it is suspended.")
        address = page("review-work", each.slug)
        yield QueueRow(_("Access review"), each.name, address, _("Review"), each.due_at, items)


def _questions(person: Person) -> Iterator[QueueRow]:
    for each in waiting.questions_for(person)[:MOST]:
        words = {"who": each.asked_by.name, "of": each.asked_of.name, "what": each.item.name}
        mine = each.asked_of_id == person.pk
        title = (
            _("%(who)s asks you about %(what)s") if mine else _("%(who)s asks %(of)s, for whom you act, about %(what)s")
        )
        yield QueueRow(
            _("Question"), title % words, page("review-question", each.pk), _("Answer"), detail=f"“{each.text[:120]}”"
        )


def _spot_checks(person: Person) -> Iterator[QueueRow]:
    plan: Any  # with what the query counted
    for plan in waiting.checks_for(person)[:MOST]:
        detail = ngettext(
            "%(n)d decision to check without seeing it", "%(n)d decisions to check without seeing them", plan.waiting
        )
        detail %= {"n": plan.waiting}
        yield QueueRow(_("Spot check"), plan.campaign.name, page("spot-checks"), _("Check"), plan.due_at, detail)
    for plan in waiting.disagreements_for(person)[:MOST]:
        detail = _("%(n)d of %(all)d spot checks would keep less") % {"n": plan.differ, "all": plan.sampled}
        address = page("review-page", plan.campaign.slug, query="#spot-checks")
        yield QueueRow(_("Spot check"), plan.campaign.name, address, _("Follow up"), detail=detail)


def _break_glass(person: Person) -> Iterator[QueueRow]:
    for each in break_glass.to_review(person)[:MOST]:
        words = {"name": each.given_by.name, "agent": each.grant.agent.name, "what": each.grant.entitlement.name}
        title = _("%(name)s gave %(agent)s break-glass access to “%(what)s”") % words
        address = page("emergency-page", each.pk)
        yield QueueRow(_("Break-glass access"), title, address, _("Review"), each.review_by, risk="critical")


def _ownership(person: Person) -> Iterator[QueueRow]:
    choices = Choice("accept", "yes", _("Accept"), reason=False, tone="primary"), Choice("decline", "yes", _("Decline"))
    for each in waiting.proposals_for(person)[:MOST]:
        words = {"agent": each.agent.name, "part": each.get_office_display().lower()}
        address = page("proposal-page", each.pk)
        yield QueueRow(
            _("Ownership"),
            _("You are proposed as %(part)s of %(agent)s") % words,
            address,
            _("Decide"),
            each.answer_by,
            f"“{each.reason[:120]}”",
            decision=Decision(address, choices),
        )


def _credentials(person: Person) -> Iterator[QueueRow]:
    for each in waiting.credentials_for(person)[:MOST]:
        title, address = f"{each.get_purpose_display()}: {each.client_id}", page("credential-page", each.pk)
        detail = _("for %(agent)s") % {"agent": each.agent.name}
        detail += f" · “{each.reason[:120]}”" if each.reason else ""
        yield QueueRow(_("Client"), title, address, _("Accept or decline"), each.answer_by, detail)


def _changes(caller: Caller, person: Person) -> Iterator[QueueRow]:
    for each in changes.for_person(caller, person, MOST):
        detail = _("Proposed by %(name)s") % {"name": each.proposed_by}
        detail += f": “{each.reason[:120]}”" if each.reason else ""
        yield QueueRow(_("Proposed change"), each.what, each.address, _("Confirm or withdraw"), detail=detail)


def _dormant(person: Person) -> Iterator[QueueRow]:
    choices = Choice("keep", "yes", _("Keep")), Choice("retire", "yes", _("Retire"), tone="danger", ticket="revocation")
    for agent in waiting.unneeded(person)[:MOST]:
        yield QueueRow(
            _("Dormant agent"),
            _("Is %(agent)s still needed?") % {"agent": agent.name},
            page("agent-page", agent.slug),
            _("Decide"),
            detail=_("It has not been used for a long time. Without a decision it is suspended."),
            decision=Decision(page("agent-needed", agent.slug), choices),
        )


def _auto_approvals(caller: Caller) -> Iterator[QueueRow]:
    choices = Choice("verb", "keep", _("Keep")), Choice("verb", "revoke", _("Revoke"), tone="danger")
    for each in waiting.by_rule(caller)[:MOST]:
        yield QueueRow(
            _("Auto-approval"),
            f"{each.request.agent.name}: {each.request.entitlement.name}",
            page("approval-settings", query="#looks"),
            _("Check"),
            detail=_("A rule approved this access, and no person has checked it yet."),
            risk=each.request.risk,
            decision=Decision(page("auto-approval-answer", each.pk), choices),
        )


def _tools(caller: Caller) -> Iterator[QueueRow]:
    for tool in waiting.tools_for(caller).select_related("system")[:MOST]:
        words = {"tool": tool.name, "system": tool.system.name}
        detail = _("New, not reviewed yet")
        if tool.approved_id:
            served = tool.state == tool.State.APPROVED
            detail = _("Its text changed; served as approved") if served else _("Changed, waits for review")
        address = page("tool-page", tool.system.slug, tool.name)
        title = _("%(tool)s of %(system)s") % words
        yield QueueRow(_("Tool"), title, address, _("Review the tool"), detail=detail, risk=tool.risk)


def _orphans(caller: Caller) -> Iterator[QueueRow]:
    for agent in islice(waiting.orphans(caller).select_related("sponsor", "owner"), MOST):
        lacking = [("agent-sponsor", agent.sponsor), ("agent-owner", agent.owner)]
        if not any(doors.may(caller, act, agent) for act, who in lacking if who is None or not who.is_active):
            continue
        told = []
        if not agent.sponsor.is_active:
            told.append(_("%(name)s, its sponsor, has left.") % {"name": agent.sponsor.name})
        if agent.owner is None:
            told.append(_("It has no technical owner."))
        elif not agent.owner.is_active:
            left = _("%(name)s, its technical owner, has left. Without a new one it is suspended after seven days.")
            told.append(left % {"name": agent.owner.name})
        address = page("agent-edit", agent.slug)
        yield QueueRow(_("Orphaned agent"), agent.name, address, _("Transfer ownership"), detail=" ".join(told))


def _ending(person: Person) -> Iterator[QueueRow]:
    for grant in waiting.ending_of(person).select_related("agent", "entitlement__system")[:MOST]:
        words = {"agent": grant.agent.name, "what": grant.entitlement.name, "system": grant.entitlement.system.name}
        title = _("%(agent)s: “%(what)s” in %(system)s ends") % words
        address = page("grant-page", grant.pk)
        yield QueueRow(_("Ending access"), title, address, _("Renew"), grant.expires_at, may_wait=True)


def _suspended(caller: Caller) -> Iterator[QueueRow]:
    for agent in waiting.suspended_agents(caller)[:MOST]:
        address = page("agent-page", agent.slug)
        yield QueueRow(_("Suspended agent"), agent.name, address, _("Restore or retire"), detail=agent.status_reason)
    for system in waiting.disabled_systems(caller)[:MOST]:
        yield QueueRow(_("Disabled system"), system.name, page("system-page", system.slug), _("Look at it"))
