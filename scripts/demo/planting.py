"""Plant the company (`company.py`) with its fourteen months of history and a review that is under way.

Everything comes about by the product's verbs at the time at which it is said to have happened; only the use of it is
written by the hundred (`history.py`). Nothing here is told to a page: what the pages bring up they find by themselves.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, Final

from django.db import transaction

from audit import clock
from entitlements.agents.models import Agent
from entitlements.catalog import seen, tools
from entitlements.catalog.models import Entitlement, System
from entitlements.definitions import classes
from entitlements.grants import batches
from entitlements.grants.models import Grant
from entitlements.people import people
from governance.approvals import auto_approval
from governance.eligibility.eligibility import Ask
from governance.ownership import dormancy, leavers
from governance.reviews.campaigns import close
from governance.reviews.campaigns import sweeps as sweeps_actions
from governance.reviews.campaigns.models import Campaign
from governance.reviews.decisions import submission
from governance.reviews.decisions.models import ReviewDecision
from governance.reviews.event_triggered import start, sweeps, triggers
from governance.reviews.items.answer import Answer
from governance.reviews.items.models import ReviewItem
from governance.reviews.population import campaigns
from governance.reviews.remediation import remediation
from governance.reviews.reviewers import assignment
from governance.reviews.spot_checks import plan, spot_checks
from governance.reviews.spot_checks.models import SpotCheck
from governance.reviews.staging import launch
from governance.sod import exceptions, policies
from governance.sod import rules as sod_rules
from governance.sod.models import CombinationRule
from scripts.demo import cast, company, history, making, office
from scripts.demo.making import days_ago, who

DUE: Final = timedelta(days=14)
_KEEP: Final = Answer("certify", "business_need", "The team works with it every day.")
_WARNED_AGO, _ASKED_AGO = 31, 15.5


@dataclass(frozen=True)
class Offices:
    """How to reach the company's systems: their addresses and credential, and their lists before and after the drift.

    `settle` returns when all that was recorded is sealed and its calls are added up.
    """

    url: Callable[[str], str]
    secret: str
    listed: Callable[[System], list[dict[str, Any]]]
    drift: Callable[[], None]
    settle: Callable[[], None]


def found() -> None:
    """Let people come, with their groups, and the first agent; the cast is there already."""
    triggers.listen()  # it hears of what comes from now on
    for each in sorted(company.PEOPLE, key=lambda character: character.manager or ""):
        making.person(each)
    for slug, name, members in company.GROUPS:
        making.group(slug, name, members)
    _agent(company.PAYROLL)


def set_up(offices: Offices) -> None:
    """Register the systems, approve and bundle their tools, and register the agents."""
    for each in company.SYSTEMS:
        _system(each, offices)
    for bundle in company.BUNDLES:
        making.entitlement(
            bundle.scope, bundle.name, bundle.sentence, {tool: bundle.limits.get(tool, {}) for tool in bundle.tools}
        )
    for bot in company.AGENTS:
        _agent(bot)


def live(offices: Offices, repository: str) -> Campaign:
    """Let it all happen until today, and return the review that is under way."""
    every = (*company.GIVEN, company.TEMPORARY)
    given = [(each, _given(each)) for each in every if each.ago > company.FIRST_REVIEW]
    _first_review()
    given += [(each, _given(each)) for each in every if each.ago < company.FIRST_REVIEW]
    _use(given, repository)
    offices.settle()
    _make_rules()
    with days_ago(_WARNED_AGO):
        dormancy.take_steps()
    with days_ago(_ASKED_AGO):
        dormancy.take_steps()
    _drift(offices)
    _leave(company.LEFT_BEFORE, company.LEFT)
    campaign = _review()
    _leave(company.LEAVER, company.LEAVES)
    _given(company.TONIGHT)
    _ask_about_what_happened(offices)
    return campaign


# ------------------------------------------------------------------------------------------------ what there is


def _agent(bot: cast.Bot) -> None:
    made = making.agent(bot)
    for client_id, auth in bot.clients.items():
        making.client(client_id, auth, made)


def _system(department: company.Department, offices: Offices) -> None:
    is_ours = department.slug in company.SERVED
    url = offices.url(department.slug) if is_ours else f"https://{department.slug}.example.com/mcp"
    secret = offices.secret if is_ours else None
    made = making.system(department.slug, department.name, department.owner, url, kind=department.kind, secret=secret)
    by = who(cast.ANALYST).principal
    listed = offices.listed(made) if is_ours else office.offered(made.slug, drifted=False)
    seen.record_seen(made, listed, by=by)
    said = {offer.name: offer for offer in department.tools}
    tools.approve_tools(
        [
            tools.Approval(
                tool,
                tool.seen.sha256,
                said[tool.name].sentence,
                said[tool.name].action,
                said[tool.name].risk,
                said[tool.name].data_class,
                {flow: flow in said[tool.name].flows for flow in classes.FLOWS},
            )
            for tool in made.tools.select_related("seen")
            if tool.seen
        ],
        by=by,
    )


# ------------------------------------------------------------------------------------------------ what was given


def _given(given: company.Given) -> Grant:
    """Ask for access at its time, and have it approved; a rule may have been quicker."""
    with days_ago(given.ago):
        acted_for, groups = making.subjects(given.people, given.groups)
        lasts = timedelta(days=given.lasts)
        request = making.asked(given.agent, given.scope, Ask(lasts, given.reason, acted_for, groups))
    rows = Grant.objects.select_related("agent", "entitlement__system").prefetch_related("subjects__person")
    return rows.get(request_id=request.pk)


def _use(given: list[tuple[company.Given, Grant]], repository: str) -> None:
    """Write what it was used for since; and let end what was given for some hours."""
    of_git = {"repo_path": repository}
    used = [
        (each, grant, of_git if each.system == "git" else dict(each.arguments)) for each, grant in given if each.used
    ]
    history.write(used, company.EXCEEDING)
    with days_ago(company.TEMPORARY.ago - company.TEMPORARY.lasts - 0.01):
        batches.expire_due()


# ------------------------------------------------------------------------------------------------ what was ruled


def _make_rules() -> None:
    """Put the rules on combinations in force, over what was given before; and one that approves without a person."""
    rob, resa = who("rob"), who("resa")
    with days_ago(company.RULES):
        for rule in sod_rules.STARTERS:
            reason = "We begin with the rules that everybody needs."
            made = policies.propose(
                rule.name, sentence=rule.sentence, sides=[dict(side) for side in rule.sides], by=rob, reason=reason
            )
            policies.publish(made.pk, by=resa, reason="Agreed.")
    with days_ago(company.RULES - 1):
        exceptions.give(
            CombinationRule.objects.get(name="code-and-deployment").pk,
            Agent.objects.get(slug="release-bot"),
            control="Milan reads every release before it goes out.",
            expires_at=clock.now() + timedelta(days=150),
            by=resa,
            reason="One train for one small service.",
        )
    with days_ago(company.RULE):
        scope = Entitlement.objects.get(scope=company.BY_RULE.scope)
        until = clock.now() + timedelta(days=180)
        reason = "Reading tickets harms nobody."
        ruled = auto_approval.propose(
            scope, longest=timedelta(days=60), kinds=["shared"], expires_at=until, by=rob, reason=reason
        )
        auto_approval.confirm(ruled.pk, by=resa, reason="Agreed, for half a year.")
    _given(company.BY_RULE)


def _drift(offices: Offices) -> None:
    """Let two servers say something else of their tools, and have it noticed."""
    offices.drift()
    with days_ago(company.DRIFTED):
        for system in System.objects.filter(slug__in=company.DRIFT).order_by("slug"):
            seen.record_seen(system, offices.listed(system), by=who(cast.ANALYST).principal)


def _leave(login: str, ago: float) -> None:
    """Let somebody leave, and what follows within minutes follow."""
    with days_ago(ago):
        people.disable(who(login), by=who(cast.ANALYST).principal, reason="Left the company.")
    with days_ago(ago - 3 / 1440):
        while assignment.reassign_leavers():
            pass
        leavers.propose_heirs()


# ------------------------------------------------------------------------------------------------ what is reviewed


def _first_review() -> None:
    """Rehearse a review over everything, which some answered, and whose answers somebody else checked."""
    ana = who(cast.ANALYST)
    with days_ago(company.FIRST_REVIEW), transaction.atomic():
        made = campaigns.make(
            company.FIRST_CAMPAIGN,
            name="Third quarter, a rehearsal",
            due_at=clock.now() + DUE,
            by=ana,
            reason="The first.",
        )
        plan.switch_on(made.pk, by=ana, share=100, reason="The first: everything is asked twice.")
        launch.activate(made.pk, by=ana)
    with days_ago(company.FIRST_REVIEW - 6):
        for login in ("sofia", "tara"):
            _answer(made, login, {})
    with days_ago(company.FIRST_REVIEW - 15):
        close.close(made.pk, by=ana, reason="The rehearsal is over.", without_answer=True)
    with days_ago(company.FIRST_REVIEW - 17):
        _check(made)


def _check(campaign: Campaign) -> None:
    """Let whoever checks answers agree, but for one."""
    for check in SpotCheck.objects.filter(plan=campaign.pk, checker__isnull=False).select_related("item", "checker"):
        if check.checker is None:
            continue
        kept = check.item.agent_slug != company.CHECKED_OTHERWISE
        said = ("certify", "", "") if kept else ("revoke", "wrong_scope", "It reads what its task does not need.")
        spot_checks.answer(check.pk, by=check.checker, verb=said[0], reason_code=said[1], comment=said[2])


def _review() -> Campaign:
    """Begin the review of this quarter, and let some answer in the days since."""
    ana = who(cast.ANALYST)
    with days_ago(company.BEGAN), transaction.atomic():
        left_out = {"field": "agent.slug", "op": "eq", "value": "stale-bot"}
        made = campaigns.make(
            company.CAMPAIGN,
            name=company.CAMPAIGN_NAME,
            due_at=clock.now() + DUE,
            scope={
                "exclude": [
                    {"where": left_out, "reason": "Its sponsor is asked at the same time whether it is needed."}
                ]
            },
            by=ana,
            reason="Access is looked at four times a year.",
        )
        made = launch.activate(made.pk, by=ana, reason="The quarter ends.")
    unused = Answer("revoke", "unused", "It reads the log instead.")
    with days_ago(company.BEGAN - 0.8):
        _answer(made, "milan", {("changes-bot", "ship"): unused})
    with days_ago(company.BEGAN - 0.9):
        sweeps_actions.prove_due()
    with days_ago(company.BEGAN - 1.7):
        _answer(made, "tara", {})
    return made


def _ask_about_what_happened(offices: Offices) -> None:
    """Let the small reviews begin that the drift, the leavers, the unused agents and the rule are a cause for."""
    offices.settle()
    while triggers.listen():
        pass
    sweeps.find()
    start.open_due()


def _answer(campaign: Campaign, login: str, answers: Mapping[tuple[str, str], Answer]) -> None:
    """Let a reviewer answer everything of hers: as said, and keep the rest."""
    by = who(login)
    hers = ReviewItem.objects.filter(campaign=campaign, assignments__reviewer=by, assignments__state="assigned")
    with transaction.atomic():
        for item in hers.select_related("agent", "system"):
            submission.save_draft(item.pk, answers.get((item.agent_slug, item.system_slug), _KEEP), by=by, rev=0)
        done = submission.submit(campaign.pk, by=by, via=ReviewDecision.Via.UI)
    for decision in done.removals:
        remediation.verify(decision)
