"""Plant the company (`company.py`) with its fourteen months of history and a review that is under way.

Everything comes about by the product's actions at the time when it happened in the story; only the use of it is
written by the hundred (`history.py`). No page gets a hint from here: the pages find by themselves what they bring up.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, Final

from django.db import transaction

from audit import clock
from entitlements.agents.models import Agent
from entitlements.catalog import discovery, tools
from entitlements.catalog.models import Entitlement, System
from entitlements.definitions import classes
from entitlements.grants import batches
from entitlements.grants.models import Grant
from entitlements.people import people
from governance.approvals import auto_approval
from governance.eligibility.eligibility import RequestTerms
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
from governance.sod.models import SodPolicy
from scripts.demo.data import builders, cast, company, history, starter_packs
from scripts.demo.data.builders import days_ago, who
from scripts.demo.servers import office

DUE: Final = timedelta(days=14)
_KEEP: Final = Answer("certify", "business_need", "The team works with it every day.")
_WARNED_AGO, _ASKED_AGO = 31, 15.5


@dataclass(frozen=True)
class OfficeServers:
    """How to reach the company's systems: their addresses and credential, and their lists before and after the drift.

    `settle` returns when all that was recorded is sealed and its calls are added up.
    """

    url: Callable[[str], str]
    secret: str
    listed: Callable[[System], list[dict[str, Any]]]
    drift: Callable[[], None]
    settle: Callable[[], None]


def found_company() -> None:
    """Let people come, with their groups, and the first agent; the cast is there already."""
    triggers.listen()  # it hears of what comes from now on
    for character in sorted(company.PEOPLE, key=lambda other: other.manager or ""):
        builders.person(character)
    for slug, name, members in company.GROUPS:
        builders.group(slug, name, members)
    _agent(company.PAYROLL)


def set_up(offices: OfficeServers) -> None:
    """Register the systems, approve and bundle their tools, and register the agents."""
    for department in company.SYSTEMS:
        _system(department, offices)
    for bundle in company.ENTITLEMENTS:
        builders.entitlement(
            bundle.scope, bundle.name, bundle.sentence, {tool: bundle.limits.get(tool, {}) for tool in bundle.tools}
        )
    for agent_spec in company.AGENTS:
        _agent(agent_spec)


def live(offices: OfficeServers, repository: str) -> Campaign:
    """Let it all happen until today, and return the review that is under way."""
    every = (*company.GRANTS, company.TEMPORARY)
    grants = [(spec, _grant(spec)) for spec in every if spec.ago > company.FIRST_REVIEW]
    _first_review()
    grants += [(spec, _grant(spec)) for spec in every if spec.ago < company.FIRST_REVIEW]
    _use(grants, repository)
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
    _grant(company.TONIGHT)
    _ask_about_what_happened(offices)
    return campaign


# ------------------------------------------------------------------------------------------------ what there is


def _agent(spec: cast.AgentSpec) -> None:
    agent = builders.agent(spec)
    for client_id, auth in spec.clients.items():
        builders.client(client_id, auth, agent)


def _system(department: company.Department, offices: OfficeServers) -> None:
    is_ours = department.slug in company.SERVED
    url = offices.url(department.slug) if is_ours else f"https://{department.slug}.example.com/mcp"
    secret = offices.secret if is_ours else None
    system = builders.system(
        department.slug, department.name, department.owner, url, kind=department.kind, secret=secret
    )
    by = who(cast.ANALYST).principal
    listed = offices.listed(system) if is_ours else office.offered(system.slug, drifted=False)
    discovery.record_discovery(system, listed, by=by)
    specs = {tool_spec.name: tool_spec for tool_spec in department.tools}
    tools.approve_tools(
        [
            tools.Approval(
                tool,
                tool.seen.sha256,
                specs[tool.name].sentence,
                specs[tool.name].action,
                specs[tool.name].risk,
                specs[tool.name].data_class,
                {flow: flow in specs[tool.name].flows for flow in classes.FLOWS},
            )
            for tool in system.tools.select_related("seen")
            if tool.seen
        ],
        by=by,
    )
    builders.confirm_classes(system)


# ------------------------------------------------------------------------------------------------ what was given


def _grant(spec: company.GrantSpec) -> Grant:
    """RequestTerms for access at its time, and have it approved; a rule may have been quicker."""
    with days_ago(spec.ago):
        acted_for, groups = builders.subjects(spec.people, spec.groups)
        lasts = timedelta(days=spec.lasts)
        request = builders.request_access(spec.agent, spec.scope, RequestTerms(lasts, spec.reason, acted_for, groups))
    rows = Grant.objects.select_related("agent", "entitlement__system").prefetch_related("subjects__person")
    return rows.get(request_id=request.pk)


def _use(grants: list[tuple[company.GrantSpec, Grant]], repository: str) -> None:
    """Write what it was used for since; and let end what was given for some hours."""
    of_git = {"repo_path": repository}
    used = [
        (spec, grant, of_git if spec.system == "git" else dict(spec.arguments)) for spec, grant in grants if spec.used
    ]
    history.write(used, company.EXCEEDING)
    with days_ago(company.TEMPORARY.ago - company.TEMPORARY.lasts - 0.01):
        batches.expire_due()


# ------------------------------------------------------------------------------------------------ what was ruled


def _make_rules() -> None:
    """Put the rules on combinations in force, over what was given before; and one that approves without a person."""
    rob, resa = who("rob"), who("resa")
    with days_ago(company.RULES):
        for name in company.SOD_POLICIES:
            reason = "We begin with the rules that everybody needs."
            policy = policies.propose(**starter_packs.sod_policy(name), by=rob, reason=reason)
            policies.KIND.confirm(policy.pk, by=resa, reason="Agreed.")
    with days_ago(company.RULES - 1):
        exceptions.give(
            SodPolicy.objects.get(name="code-and-deployment").pk,
            Agent.objects.get(slug="release-bot"),
            control="Milan reads every release before it goes out.",
            expires_at=clock.now() + timedelta(days=150),
            by=resa,
            reason="One train for one small service.",
        )
    with days_ago(company.RULE):
        scope = Entitlement.objects.get(scope=company.BY_RULE.scope)
        until = clock.now() + timedelta(days=180)
        reason = "Reading tickets does no harm."
        ruled = auto_approval.propose(
            scope, longest=timedelta(days=60), kinds=["shared"], expires_at=until, by=rob, reason=reason
        )
        auto_approval.KIND.confirm(ruled.pk, by=resa, reason="Agreed, for half a year.")
    _grant(company.BY_RULE)


def _drift(offices: OfficeServers) -> None:
    """Let two servers say something else of their tools, and have it noticed."""
    offices.drift()
    with days_ago(company.DRIFTED):
        for system in System.objects.filter(slug__in=company.DRIFT).order_by("slug"):
            discovery.record_discovery(system, offices.listed(system), by=who(cast.ANALYST).principal)


def _leave(login: str, ago: float) -> None:
    """Let a person leave, and run what follows within minutes."""
    with days_ago(ago):
        people.disable(who(login), by=who(cast.ANALYST).principal, reason="Left the company.")
    with days_ago(ago - 3 / 1440):
        while assignment.reassign_leavers():
            pass
        leavers.propose_new_owners()


# ------------------------------------------------------------------------------------------------ what is reviewed


def _first_review() -> None:
    """Rehearse a review over everything: some reviewers answer, and other people check the answers."""
    ana = who(cast.ANALYST)
    with days_ago(company.FIRST_REVIEW), transaction.atomic():
        campaign = campaigns.make(
            company.FIRST_CAMPAIGN,
            name="Third quarter, a rehearsal",
            due_at=clock.now() + DUE,
            by=ana,
            reason="The first.",
        )
        plan.switch_on(campaign.pk, by=ana, share=100, reason="The first: everything is asked twice.")
        launch.activate(campaign.pk, by=ana)
    with days_ago(company.FIRST_REVIEW - 6):
        for login in ("sofia", "tara"):
            _answer(campaign, login, {})
    with days_ago(company.FIRST_REVIEW - 15):
        close.close(campaign.pk, by=ana, reason="The rehearsal is over.", without_answer=True)
    with days_ago(company.FIRST_REVIEW - 17):
        _check(campaign)


def _check(campaign: Campaign) -> None:
    """Let the spot checks agree with the answers, but for one."""
    for check in SpotCheck.objects.filter(plan=campaign.pk, checker__isnull=False).select_related("item", "checker"):
        if check.checker is None:
            continue
        kept = check.item.agent_slug != company.CHECKED_OTHERWISE
        answer = ("certify", "", "") if kept else ("revoke", "wrong_scope", "It reads what its task does not need.")
        spot_checks.answer(check.pk, by=check.checker, verb=answer[0], reason_code=answer[1], comment=answer[2])


def _review() -> Campaign:
    """Begin the review of this quarter, and let some answer in the days since."""
    ana = who(cast.ANALYST)
    with days_ago(company.BEGAN), transaction.atomic():
        left_out = {"field": "agent.slug", "op": "eq", "value": "stale-bot"}
        campaign = campaigns.make(
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
        campaign = launch.activate(campaign.pk, by=ana, reason="The quarter ends.")
    unused = Answer("revoke", "unused", "It reads the log instead.")
    with days_ago(company.BEGAN - 0.8):
        _answer(campaign, "milan", {("changes-bot", "ship"): unused})
    with days_ago(company.BEGAN - 0.9):
        sweeps_actions.prove_due()
    with days_ago(company.BEGAN - 1.7):
        _answer(campaign, "tara", {})
    return campaign


def _ask_about_what_happened(offices: OfficeServers) -> None:
    """Let the small reviews begin that the drift, the leavers, the unused agents and the rule are a cause for."""
    offices.settle()
    while triggers.listen():
        pass
    sweeps.find()
    start.open_due()


def _answer(campaign: Campaign, login: str, answers: Mapping[tuple[str, str], Answer]) -> None:
    """Let a reviewer answer all of their items: as given in `answers`, and keep the rest."""
    by = who(login)
    items = ReviewItem.objects.filter(campaign=campaign, assignments__reviewer=by, assignments__state="assigned")
    with transaction.atomic():
        for item in items.select_related("agent", "system"):
            submission.save_draft(item.pk, answers.get((item.agent_slug, item.system_slug), _KEEP), by=by, rev=0)
        done = submission.submit(campaign.pk, by=by, via=ReviewDecision.Via.UI)
    for decision in done.removals:
        remediation.verify(decision)
