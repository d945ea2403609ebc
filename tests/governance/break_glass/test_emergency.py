"""Emergency access: one person gives it, never for themselves, for an hour at most; another looks at it afterwards."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from allauth.mfa.models import Authenticator
from django.db import IntegrityError, transaction
from pytest_django.fixtures import Settings

from audit import clock
from audit.actions import Action
from audit.models import Event
from entitlements.errors import DomainError, Forbidden, ReasonRequired
from entitlements.grants import grants
from entitlements.grants.models import Grant
from entitlements.people.models import Person
from governance.break_glass import break_glass, queries
from governance.break_glass.models import BreakGlassGrant
from governance.eligibility import eligibility
from governance.notices import listener
from governance.notices.models import Notice
from governance.setup import readiness
from governance.sod import agent_calls, check, policies
from governance.sod.models import SodException
from tests import make, shared
from tests.governance import companies

pytestmark = pytest.mark.django_db
REASON = "The payroll stands still."


def _company() -> companies.Company:
    found = companies.found()
    for person in (found.resa, found.rob, found.ana, found.sam, found.otto, found.sofia, found.mallory):
        Authenticator.objects.create(user=person, type=Authenticator.Type.TOTP, data={})
    return found


made_world, company = shared.world(_company)


def give(company: companies.Company, by: Person, *tools: str, **said: Any) -> BreakGlassGrant:  # noqa: ANN401 - what `emergency.give` takes
    lasts = said.pop("lasts", timedelta(hours=1))
    people = said.pop("people", (company.alice,))
    ask = eligibility.RequestTerms(lasts, REASON, people, tuple(said.pop("groups", ())), frozenset(tools or ("now",)))
    return break_glass.give(company.bot, company.use, ask, by=by, **said)


def over(found: BreakGlassGrant) -> None:
    grants.revoke(found.grant_id, by=found.given_by.principal, reason="No longer needed.")
    assert break_glass.open_reviews() == 1


def test_one_person_gives_access_at_once_and_everybody_is_told(company: companies.Company) -> None:
    found = give(company, company.ana)
    grant = Grant.objects.get(pk=found.grant_id)
    assert (grant.state, grant.request_id, grant.expires_at) == ("active", None, found.ends_at)
    assert found.ends_at == found.given_at + timedelta(hours=1)
    event = Event.objects.get(action=Action.BREAK_GLASS_DECLARED)
    assert (event.actor, event.reason) == ("person:ana", REASON)
    assert {f"grant:{grant.pk}", f"emergency:{found.pk}", "agent:research-bot"} <= set(event.about)
    listener.notify(event)
    told = Notice.objects.filter(urgent=True, url=f"/break-glass/{found.pk}/")
    assert set(told.values_list("person__login", flat=True)) == {"resa", "rob", "sofia", "otto", "sam", "alice"}


@pytest.mark.parametrize(
    ("login", "refusal"),
    [
        ("mallory", Forbidden),
        ("sofia", Forbidden),
        ("rob", break_glass.SelfBreakGlass),
        ("resa", break_glass.SelfBreakGlass),
        ("sam", None),
    ],
)
def test_nobody_gives_it_for_an_agent_of_theirs_or_without_the_role(
    company: companies.Company, login: str, refusal: type[DomainError] | None
) -> None:
    company.bot.backup = company.rob
    company.bot.save()
    other = make.agent(owner=company.resa)
    agent_calls.allow(other, company.bot, by=company.ana.principal, reason="It hands work over.")
    if refusal is None:
        give(company, company.named(login))
    else:
        with pytest.raises(refusal):
            give(company, company.named(login))
        assert not Grant.objects.exists()


def test_nobody_gives_it_to_be_served_or_after_they_asked_for_it(company: companies.Company) -> None:
    group = make.group(company.rob)
    for by, said in ((company.resa, {"people": (company.resa,)}), (company.rob, {"groups": (group,), "people": ()})):
        with pytest.raises(break_glass.SelfBreakGlass):
            give(company, by, **said)
    company.ask("now", by=company.ana)
    with pytest.raises(break_glass.SelfBreakGlass):
        give(company, company.ana)


def test_a_second_factor_is_needed_and_an_hour_is_the_most(company: companies.Company) -> None:
    with pytest.raises(break_glass.BreakGlassTooLong):
        give(company, company.ana, lasts=timedelta(hours=1, seconds=1))
    Authenticator.objects.filter(user=company.ana).update(type=Authenticator.Type.RECOVERY_CODES)
    with pytest.raises(break_glass.SecondFactorNeeded):
        give(company, company.ana)


def test_the_database_knows_the_hour_and_that_nobody_reviews_their_own(company: companies.Company) -> None:
    rows = BreakGlassGrant.objects.filter(pk=give(company, company.ana).pk)
    for fields in (
        {"ends_at": clock.now() + timedelta(hours=2)},
        {"verdict": "justified", "reviewed_by": company.ana, "reviewed_at": clock.now(), "finding": "Fine."},
        {"verdict": "justified"},
    ):
        with pytest.raises(IntegrityError), transaction.atomic():
            rows.update(**fields)


def test_it_stands_beside_what_the_agent_holds_already(company: companies.Company) -> None:
    held = make.grant(company.bot, company.use, people=[company.alice])
    found = give(company, company.ana, "convert")
    assert Grant.objects.filter(pk__in=[held.pk, found.grant_id], state="active").count() == 2


def test_it_goes_beyond_the_setup_only_by_saying_so(company: companies.Company, settings: Settings) -> None:
    settings.SETUP_FIRST, settings.DEMO = True, False
    with pytest.raises(readiness.SetupIncomplete):
        give(company, company.ana, "remove")
    assert give(company, company.ana, "remove", before_setup=True).exceeded == ["setup"]


def test_it_goes_beyond_a_rule_on_combinations_only_by_naming_it(company: companies.Company) -> None:
    bank = make.system("bank")
    make.grant(company.bot, make.entitlement(bank, make.tool(bank, "pay")), people=[company.alice])
    sides = [{"tools": ["now"]}, {"tools": ["pay"]}]
    rule = policies.propose("pair", sentence="Both.", sides=sides, by=company.ana, reason="x")
    policies.KIND.confirm(rule.pk, by=company.rob, reason="x")
    with pytest.raises(check.SodPolicyViolated):
        give(company, company.resa, combinations=["another"])
    found = give(company, company.resa, combinations=["pair"])
    assert found.exceeded == ["combination pair of research-bot"]
    assert SodException.objects.get().expires_at <= found.ends_at + timedelta(seconds=1)


def test_the_review_is_forced_and_until_then_there_is_no_further_one(company: companies.Company) -> None:
    found = give(company, company.resa)
    with pytest.raises(break_glass.ReviewOwed):
        give(company, company.resa, "convert")
    assert break_glass.open_reviews() == 0
    with pytest.raises(break_glass.BreakGlassNotOver):
        break_glass.review(found.pk, by=company.rob, verdict="justified", reason="Seen.")
    over(found)
    found.refresh_from_db()
    ended = found.grant.ended_at
    assert ended is not None
    assert found.review_by == ended + timedelta(days=2)
    listener.notify(Event.objects.get(action=Action.BREAK_GLASS_ENDED))
    assert [each.person.login for each in Notice.objects.filter(urgent=True)] == ["rob"]
    assert [list(queries.to_review(each)) for each in (company.rob, company.resa, company.ana)] == [[found], [], []]
    company.bot.backup = make.security("bess")
    company.bot.save()
    for by, reason, refusal in (
        (company.resa, "Mine.", break_glass.SelfBreakGlass),
        (company.bot.backup, "Ours.", break_glass.SelfBreakGlass),
        (company.ana, "No.", Forbidden),
        (company.rob, " ", ReasonRequired),
    ):
        with pytest.raises(refusal):
            break_glass.review(found.pk, by=by, verdict="justified", reason=reason)
    break_glass.review(found.pk, by=company.rob, verdict="not_justified", reason="A request would have done.")
    event = Event.objects.get(action=Action.BREAK_GLASS_REVIEWED)
    assert (event.actor, event.detail["verdict"]) == ("person:rob", "not_justified")
    with pytest.raises(break_glass.BreakGlassReviewed):
        break_glass.review(found.pk, by=company.rob, verdict="justified", reason="On second thoughts.")
    assert give(company, company.resa, "convert").verdict == ""


def test_who_sees_it(company: companies.Company) -> None:
    found = give(company, company.ana)
    seen = {login for login in ("sofia", "otto", "sam", "alice", "resa", "bob", "mallory")
            if queries.visible_to(company.named(login)).filter(pk=found.pk).exists()}  # fmt: skip
    assert seen == {"sofia", "otto", "sam", "alice", "resa"}
