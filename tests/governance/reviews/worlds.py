"""The small company with access to review: one item for sofia (its sponsor), whose tools are low and high."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta
from uuid import UUID

import pytest

from audit import clock
from entitlements.agents.models import Agent
from entitlements.catalog.models import Entitlement, System
from entitlements.grants.models import Grant
from entitlements.people.models import Person
from governance.reviews.campaigns import close, sweeps
from governance.reviews.campaigns.models import Campaign
from governance.reviews.decisions import submission
from governance.reviews.decisions.models import ReviewDecision
from governance.reviews.evidence import audit
from governance.reviews.evidence.models import AuditSample
from governance.reviews.items.answer import Answer
from governance.reviews.items.models import ReviewItem
from governance.reviews.pack import seal
from governance.reviews.pack.models import EvidencePack
from governance.reviews.population import campaigns
from governance.reviews.reviewers.models import Assignment
from governance.reviews.spot_checks import plan
from governance.reviews.staging import launch
from tests import make, snapshots
from tests.governance import companies
from tests.governance.companies import Company

MONTH = timedelta(days=30)
KEEP = Answer("certify", "business_need", "The team works with it every day.")
REMOVE = Answer("revoke", "unused", "No calls in ninety days.")


@snapshots.restored
def found() -> tuple[Company, Grant]:
    """Make the company, with one grant of all four tools for alice."""
    company = companies.found()
    return company, granted(company)


@snapshots.restored
def reviewed() -> tuple[Company, Campaign]:
    """Make it, with a campaign over everything that has begun."""
    company, _grant = found()
    return company, campaign(company)


def granted(company: Company) -> Grant:
    """Give its agent all four tools for alice."""
    return make.grant(company.bot, company.use, people=[company.alice])


def low(company: Company) -> Entitlement:
    """Make an entitlement of one harmless tool."""
    return make.entitlement(company.system, make.tool(company.system))


def campaign(company: Company, *, start: bool = True, slug: str = "q4") -> Campaign:
    """Draft a campaign over everything, and begin it unless told not to."""
    made = campaigns.make(slug, name="Fourth quarter", due_at=clock.now() + timedelta(days=14), by=company.ana)
    return launch.activate(made.pk, by=company.ana) if start else made


def item(of: Campaign, agent: Agent | None = None) -> ReviewItem:
    """Return the only item, or that of an agent."""
    rows = ReviewItem.objects.filter(campaign=of)
    return rows.get(agent=agent) if agent else rows.get()


def open_in(of: Campaign) -> frozenset[UUID]:
    """Return the items of a campaign that nobody answered."""
    return frozenset(of.items.filter(state="in_review").values_list("pk", flat=True))


def live(of: ReviewItem) -> Assignment:
    """Return who is to answer."""
    return Assignment.objects.get(item=of, state=Assignment.State.ASSIGNED)


def answer(of: Campaign, by: Person, answers: Sequence[tuple[ReviewItem, Answer]]) -> submission.Submission:
    """Draft these answers and submit them."""
    for each, said in answers:
        submission.save_draft(each.pk, said, by=by, rev=0)
    return submission.submit(of.pk, by=by, via=ReviewDecision.Via.UI)


def let_it_be_final(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the time to take answers back pass, and make final what is due."""
    later = clock.now() + timedelta(minutes=16)
    monkeypatch.setattr(clock, "now", lambda: later)
    sweeps.prove_due()


def waiting_for(of: Campaign, person: Person) -> list[Assignment]:
    """Return what a person is to answer now."""
    rows = Assignment.objects.filter(item__campaign=of, reviewer=person, state=Assignment.State.ASSIGNED)
    return list(rows.select_related("item").order_by("item__number"))


SIGNED = "Complete, independent, carried out and kept."


def closed(company: Company) -> Campaign:
    """Return a closed review whose only item, a harmless one, was kept."""
    make.grant(company.bot, low(company), people=[company.alice])
    made = campaign(company)
    answer(made, company.sofia, [(item(made), KEEP)])
    close.close(made.pk, by=company.ana, reason="The quarter is over.")
    close.finish_closing(made.pk)
    made.refresh_from_db()
    return made


def sealed(of: Campaign, by: Person) -> EvidencePack:
    """Sign a closed campaign off, and do what a worker does then."""
    seal.seal(of.pk, by=by, statement=SIGNED)
    assert seal.resume(of.pk)
    return EvidencePack.objects.get(campaign=of)


def spot_checked(system: System, *, sponsor: Person, by: Person, agents: int = 1) -> Campaign:
    """Keep and close a review of agents at a system, all of whose answers its owner is to check."""
    entitlement = make.entitlement(system, make.tool(system))
    slugs = [make.agent(f"checked-bot-{number}", sponsor=sponsor).slug for number in range(agents)]
    for slug in slugs:
        make.grant(Agent.objects.get(slug=slug), entitlement)
    scope, until = {"agents": slugs}, clock.now() + timedelta(days=14)
    made = campaigns.make("checked", name="Checked", due_at=until, scope=scope, by=by)
    plan.switch_on(made.pk, by=by, share=100)
    launch.activate(made.pk, by=by)
    answer(made, sponsor, [(each.item, KEEP) for each in waiting_for(made, sponsor)])
    return close.close(made.pk, by=by, reason="It is over.")


def audited(system: System, *, sponsor: Person, person: Person, by: Person) -> AuditSample:
    """Keep and close a review of one agent, share its evidence with an auditor, draw a sample, ask a question."""
    agent = make.agent("audited-bot", sponsor=sponsor)
    make.grant(agent, make.entitlement(system, make.tool(system)), people=[person])
    scope, until = {"agents": [agent.slug]}, clock.now() + timedelta(days=14)
    made = campaigns.make("audited", name="Audited", due_at=until, scope=scope, by=by)
    launch.activate(made.pk, by=by)
    answer(made, sponsor, [(item(made), KEEP)])
    close.close(made.pk, by=by, reason="It is over.")
    olga = make.person("olga")
    audit.share(made.pk, auditor=olga, expires_at=until, by=by, reason="The yearly audit.")
    audit.ask(made.pk, by=olga, text="Why is it kept?")
    return audit.draw(made.pk, by=olga, wanted=1)
