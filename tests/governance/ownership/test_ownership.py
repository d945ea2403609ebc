import pytest

from audit.actions import Action
from audit.context import SYSTEM, Principal
from audit.export import timeline
from entitlements.agents import agents
from entitlements.agents.models import Agent
from entitlements.conflicts.independence import SelfAppointment
from entitlements.errors import DomainError, ReasonRequired
from entitlements.feed.models import Change
from entitlements.grants.models import Grant
from entitlements.people import people
from governance.approvals import approvals
from governance.approvals import rules as approval_rules
from governance.eligibility import eligibility
from governance.ownership import ownership
from governance.requests import expiry
from governance.requests.models import AccessRequest
from tests import make, shared
from tests.governance import companies
from tests.governance.companies import Company, waiting

pytestmark = pytest.mark.django_db


made_world, company = shared.world(companies.found)


def test_a_new_sponsor_is_recorded_and_answers_what_is_asked_from_now_on(company: Company) -> None:
    first, second = company.ask(), company.ask(people=[company.bob])

    make.hand_over(company.bot, "sponsor", company.mona, by=company.ana.principal, reason="sofia moves on")

    assert [waiting(first), waiting(second)] == [{"sponsor": ["sam"]}, {"sponsor": ["sam"]}]  # the system's owner
    event = timeline.of("agent", "research-bot").filter(action=Action.AGENT_SPONSOR_CHANGED).get()
    assert (event.actor, event.reason, event.detail) == (
        "person:mona",
        "sofia moves on",
        {"from": "sofia", "to": "mona", "proposed_by": "person:ana"},
    )
    assert Change.objects.filter(agent=company.bot, kind="agent").exists()
    with pytest.raises(approval_rules.NotAnApprover):
        approvals.approve(first.pk, by=company.sofia)
    with pytest.raises(approval_rules.CameLater):
        approvals.approve(first.pk, by=company.mona)
    assert approvals.approve(first.pk, by=company.sam).state == "approved"
    assert waiting(company.ask(people=[company.mallory])) == {"sponsor": ["mona"]}


def test_a_new_owner_no_longer_approves_for_the_agent(company: Company) -> None:
    request = company.ask("remove", by=company.ana)

    make.hand_over(company.bot, "owner", company.sam, by=company.ana.principal, reason="otto left")

    assert waiting(request) == {"sponsor": ["sofia"], "system_owner": ["resa", "rob"]}
    assert timeline.of("agent", "research-bot").filter(action=Action.AGENT_OWNER_CHANGED).count() == 1


@pytest.mark.parametrize("office", ["sponsor", "owner"])
def test_nobody_makes_themselves_sponsor_or_owner(company: Company, office: str) -> None:
    scripts = [Principal("client", "her-script"), Principal("agent", "research-bot")]
    for by, who in [(company.ana.principal, company.ana), *((script, company.ana) for script in scripts)]:
        with pytest.raises(SelfAppointment):
            make.hand_over(company.bot, office, who, by=by, reason="I do it best")
    with pytest.raises(SelfAppointment):
        make.hand_over(company.bot, office, company.bob, by=company.mallory.principal, reason="a stranger to the agent")
    bea = make.analyst("bea").principal
    changed = make.hand_over(company.bot, office, company.ana, by=bea, reason="she does it best")
    assert company.ana in (changed.sponsor, changed.owner)


def test_sponsor_and_owner_hand_their_office_on(company: Company) -> None:
    make.hand_over(company.bot, "sponsor", company.mona, by=company.sofia.principal, reason="I move on")
    changed = make.hand_over(company.bot, "owner", company.bob, by=company.otto.principal, reason="I move on")
    assert (changed.sponsor, changed.owner) == (company.mona, company.bob)


def test_naming_the_same_person_again_changes_and_records_nothing(company: Company) -> None:
    make.hand_over(company.bot, "sponsor", company.sofia, by=SYSTEM, reason="again")
    assert Agent.objects.get(pk=company.bot.pk).version == 1
    assert not timeline.of("agent", "research-bot").filter(action=Action.AGENT_SPONSOR_CHANGED).exists()


def test_nobody_who_left_answers_for_an_agent_and_a_retired_one_keeps_its_people(company: Company) -> None:
    people.disable(company.mona, by=SYSTEM, reason="left")
    for office in ("sponsor", "owner"):
        with pytest.raises(DomainError, match="active"):
            make.hand_over(company.bot, office, company.mona, by=SYSTEM, reason="mistake")
    with pytest.raises(ReasonRequired):
        make.hand_over(company.bot, "sponsor", company.bob, by=SYSTEM, reason=" ")
    agents.retire(company.bot, by=SYSTEM, reason="done")
    with pytest.raises(ownership.AgentRetired):
        make.hand_over(company.bot, "owner", company.bob, by=SYSTEM, reason="too late")


def test_a_personal_agent_that_acts_for_its_user_keeps_its_sponsor(company: Company) -> None:
    own = make.agent(kind=Agent.Kind.PERSONAL, sponsor=company.alice, owner=company.otto)
    request = make.request(company.use, own, by=company.alice, people=[company.alice], tools=["now"])
    with pytest.raises(ownership.SponsorIsTheUser):
        make.hand_over(own, "sponsor", company.bob, by=SYSTEM, reason="handed on")
    approvals.approve(request.pk, by=company.mona)
    with pytest.raises(ownership.SponsorIsTheUser):
        make.hand_over(own, "sponsor", company.bob, by=SYSTEM, reason="handed on")
    Grant.objects.update(state="revoked", ended_at=request.asked_at, end_reason="over")
    assert make.hand_over(own, "sponsor", company.bob, by=SYSTEM, reason="handed on").sponsor == company.bob


def test_an_agent_whose_sponsor_left_asks_for_nothing_until_it_has_another(company: Company) -> None:
    people.disable(company.sofia, by=SYSTEM, reason="left")
    with pytest.raises(eligibility.SponsorDisabled):
        company.ask()
    make.hand_over(company.bot, "sponsor", company.mona, by=company.ana.principal, reason="sofia left")
    assert waiting(company.ask()) == {"sponsor": ["mona"]}
    assert expiry.expire_due() == 0


def test_nothing_changes_before_who_was_asked_accepts(company: Company) -> None:
    asked = ownership.propose(company.bot, "sponsor", company.mona, by=company.ana.principal, reason="sofia moves on")
    assert asked == ownership.propose(company.bot, "sponsor", company.mona, by=company.ana.principal, reason="again")
    company.bot.refresh_from_db()
    assert company.bot.sponsor == company.sofia
    for other in (company.sofia, company.ana, company.mallory):
        with pytest.raises(ownership.NotAsked):
            ownership.accept(asked.pk, by=other)
    ownership.accept(asked.pk, by=company.mona)
    company.bot.refresh_from_db()
    assert company.bot.sponsor == company.mona
    events = timeline.of("agent", "research-bot").filter(action__startswith="agent.")
    assert [(event.action, event.actor) for event in events][1:] == [
        ("agent.ownership_proposed", "person:ana"),
        ("agent.sponsor_changed", "person:mona"),
    ]
    with pytest.raises(ownership.AlreadyAnswered):
        ownership.decline(asked.pk, by=company.mona, reason="on second thoughts")


def test_somebody_else_may_be_asked_instead_and_the_first_no_longer_accepts(company: Company) -> None:
    first = ownership.propose(company.bot, "owner", company.mona, by=company.ana.principal, reason="otto moves on")
    second = ownership.propose(company.bot, "owner", company.bob, by=company.ana.principal, reason="mona is away")
    with pytest.raises(ownership.AlreadyAnswered):
        ownership.accept(first.pk, by=company.mona)
    people.disable(company.bob, by=SYSTEM, reason="left")
    with pytest.raises(ownership.NotAsked):
        ownership.accept(second.pk, by=company.bob)


def test_nobody_proposes_themselves(company: Company) -> None:
    for office in ("sponsor", "owner", "backup"):
        with pytest.raises(SelfAppointment):
            ownership.propose(company.bot, office, company.ana, by=company.ana.principal, reason="I do it best")


def test_weighty_access_needs_a_sponsor_and_another_person(company: Company) -> None:
    alone = make.agent("lone-bot", sponsor=company.sofia)
    Agent.objects.filter(pk=alone.pk).update(owner=None)

    def ask(tool: str) -> AccessRequest:
        return make.request(company.use, alone, by=company.ana, people=[company.alice], tools=[tool])

    ask("now")
    with pytest.raises(eligibility.TwoPeopleRequired):
        ask("remove")
    Agent.objects.filter(pk=alone.pk).update(backup=company.mona)
    request = ask("remove")
    people.disable(company.mona, by=SYSTEM, reason="left")
    approvals.approve(request.pk, by=company.sofia)
    with pytest.raises(eligibility.TwoPeopleRequired):
        approvals.approve(request.pk, by=company.sam)


def test_an_agent_of_weighty_access_is_not_left_to_one_person(company: Company) -> None:
    make.grant(company.bot, company.use, people=[company.alice])
    with pytest.raises(eligibility.TwoPeopleRequired):
        make.hand_over(company.bot, "owner", company.sofia, by=company.otto.principal, reason="all hers")
    Agent.objects.filter(pk=company.bot.pk).update(backup=company.bob)
    assert make.hand_over(company.bot, "owner", company.sofia, by=company.otto.principal, reason="all hers").owner
