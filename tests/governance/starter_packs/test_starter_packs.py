"""Starter packs: previewed, then proposed as by hand; the preview says what happens, and nothing is in force alone."""

from __future__ import annotations

from typing import Any, Final

import pytest
from django.db import transaction

from audit import clock
from audit.actions import Action
from audit.models import Event
from entitlements.access import caller as callers
from entitlements.people.models import Person, Role
from entitlements.words import Risk
from governance.approval_policies import policies, rules
from governance.approval_policies.models import ApprovalPolicy, AutoApprovalRule, PolicyProposal
from governance.approvals import auto_approval
from governance.reviews.campaigns.models import Campaign
from governance.reviews.items.models import ReviewItem
from governance.reviews.staging import launch
from governance.reviews.templates import templates
from governance.reviews.templates.models import CampaignTemplate
from governance.sod import check
from governance.sod import policies as sod_policies
from governance.sod.models import SodPolicy
from governance.starter_packs import packs, starter_packs
from governance.starter_packs.actions import APPLY
from governance.starter_packs.approval_parts import eligible_entitlements
from governance.starter_packs.packs import Kind, Pack
from governance.starter_packs.planned import Standing
from governance.starter_packs.starter_packs import Outcome, PartPreview
from tests import make, shared
from tests.entitlements.api import client as api
from tests.governance import companies
from tests.governance.companies import Company
from tests.governance.console import visits

pytestmark = pytest.mark.django_db

made_world, company = shared.world(companies.found)
PAGE: Final = "/settings/starter-packs/"
API: Final = "/api/v1/starter-packs"
PROPOSED: Final = (
    *(Action.SOD_POLICY_PROPOSED, Action.APPROVAL_POLICY_PROPOSED, Action.AUTO_APPROVAL_RULE_PROPOSED),
    *(Action.CAMPAIGN_TEMPLATE_SAVED, Action.CAMPAIGN_TEMPLATE_CHANGED),
)


def _pack(slug: str) -> Pack:
    return packs.read_all()[slug]


def _preview(slug: str, by: Person) -> dict[str, PartPreview]:
    seen = starter_packs.preview(starter_packs.plan(_pack(slug)), by=by)
    return {each.planned.key: each for each in seen}


def _apply(slug: str, by: Person, *keys: str) -> list[Outcome]:
    values = {"pack": _pack(slug), "reason": "We begin with these."}
    wanted = keys or [each.key for each in starter_packs.plan(_pack(slug))]
    outcomes: list[Outcome] = APPLY.perform(None, callers.of(by), {**values, "parts": wanted}).result
    return outcomes


def _in_force() -> dict[str, int]:
    return {
        "sod": SodPolicy.objects.filter(state=SodPolicy.State.PUBLISHED).count(),
        "approval": ApprovalPolicy.objects.count(),
        "rules": AutoApprovalRule.objects.filter(state=AutoApprovalRule.State.IN_FORCE).count(),
    }


def _check_applied(pack: Pack, by: Person) -> None:
    """Apply a pack twice: once it proposes what the preview announced, then nothing; nothing of it is in force."""
    planned, before = starter_packs.plan(pack), _in_force()
    wanted = sum(each.may_propose for each in planned)
    assert wanted == len([each for each in planned if each.standing != Standing.IN_PLACE])
    made = _apply(pack.slug, by)
    assert sum(each.is_new for each in made) == wanted, pack.slug
    events = Event.objects.filter(action__in=PROPOSED)
    assert events.count() == wanted, "one event for each row"
    assert all(f"(Starter pack {pack.slug}, version {pack.version}.)" in event.reason for event in events)
    assert _in_force() == before
    assert all(each.standing in {Standing.PROPOSED, Standing.IN_PLACE} for each in starter_packs.plan(pack))
    again = _apply(pack.slug, by)
    assert not [each for each in again if each.is_new]
    assert Event.objects.filter(action__in=PROPOSED).count() == wanted


def _check_each(analyst: Person, security: Person) -> None:
    for pack in packs.read_all().values():
        with transaction.atomic():
            _check_applied(pack, security if pack.kind == Kind.APPROVAL else analyst)
            transaction.set_rollback(True)


def test_each_pack_is_proposed_in_an_empty_installation() -> None:
    _check_each(make.analyst(), make.security())


def test_each_pack_is_proposed_in_a_company(company: Company) -> None:
    company.ask("now")
    make.grant(company.bot, company.use, people=[company.alice])
    policies.ensure_default()
    _check_each(company.ana, company.resa)


def test_the_violations_of_the_preview_are_those_once_the_policy_is_in_force(company: Company) -> None:
    mail = make.system("mail")
    browse = make.tool(mail, "browse", reads_private=True, ingests_untrusted=True, egress_external=True)
    make.grant(company.bot, make.entitlement(mail, browse), people=[company.alice])
    seen = _preview("lethal-trifecta", company.ana)["sod-policy:lethal-trifecta"].violations
    assert seen is not None
    assert (seen.count, [each.agent.slug for each in seen.first]) == (1, ["research-bot"])
    assert seen.tools == (3, 3, 3), "remove and wipe are of high risk, and not classified yet"
    assert check.current_violations(company.bot) == []
    (proposed,) = _apply("lethal-trifecta", company.ana)
    with pytest.raises(sod_policies.SelfConfirmation):
        sod_policies.publish(proposed.result.pk, by=company.ana, reason="Mine.")
    sod_policies.publish(proposed.result.pk, by=company.resa, reason="Seen.")
    assert [each.rule.name for each in check.current_violations(company.bot)] == ["lethal-trifecta"]


def test_the_routing_of_the_preview_is_that_once_the_policy_is_in_force(company: Company) -> None:
    company.ask("now")
    calm = make.entitlement(company.system, make.tool(company.system, "tick"), scope="clock:tick")
    before = policies.stages_of(policies.current_for(calm))
    seen = _preview("regulated", company.resa)["approval-policy:default"].routing
    assert seen is not None
    assert (seen.entitlements, seen.requests) == (2, 1)
    assert [row.differs for row in seen.by_risk] == [True] * 4
    (proposed,) = _apply("regulated", company.resa)
    assert policies.stages_of(policies.current_for(calm)) == before
    with pytest.raises(policies.SecondPersonRequired):
        policies.confirm(proposed.result.pk, by=company.resa, reason="Mine.")
    policies.confirm(proposed.result.pk, by=company.rob, reason="Seen.")
    after = policies.stages_of(policies.current_for(calm))
    changed = [risk for risk in Risk if rules.stages_for(after, risk, personal=False) != tuple(map(str, before[risk]))]
    assert [row.risk for row in seen.by_risk if row.differs] == changed
    assert _preview("regulated", company.resa)["approval-policy:default"].routing.entitlements == 0  # type: ignore[union-attr]


def test_a_review_from_a_template_has_the_items_of_the_preview(company: Company) -> None:
    make.grant(company.bot, company.use, people=[company.alice])
    make.grant(make.agent("other-bot", sponsor=company.bob), company.use, people=[company.bob])
    key = "review-template:all-access-half-yearly"
    seen = _preview("access-reviews", company.ana)[key]
    assert seen.review is not None
    assert (seen.size, seen.review.items) == (2, 2)
    assert not Campaign.objects.exists()
    (saved,) = _apply("access-reviews", company.ana, key)
    drafted = templates.start(saved.result.slug, by=company.ana)
    launch.stage_now(drafted.pk, by=company.ana)
    items = ReviewItem.objects.filter(campaign=drafted, state=ReviewItem.State.IN_REVIEW)
    assert items.count() == seen.review.items
    named = items.exclude(assignments__reviewer=None).values("assignments__reviewer").distinct()
    assert named.count() == sum(bool(load.login) for load in seen.review.loads)


def test_a_self_service_rule_approves_only_after_security_confirmed_it(company: Company) -> None:
    key = "auto-approval-rule:clock:use"
    company.ask("now")
    company.ask("convert")
    assert [each.scope for each in eligible_entitlements()] == ["clock:use"]
    assert _preview("engineering-self-service", company.resa)[key].matching_requests == 1
    (proposed,) = _apply("engineering-self-service", company.resa, key)
    assert company.ask("now").state == "in_approval"
    with pytest.raises(auto_approval.SelfConfirmationOfRule):
        auto_approval.confirm(proposed.result.pk, by=company.resa, reason="Mine.")
    auto_approval.confirm(proposed.result.pk, by=company.rob, reason="Seen.")
    assert company.ask("now", people=[company.bob]).state == "approved"


def test_what_differs_is_shown_and_becomes_the_next_version(company: Company) -> None:
    sides = [{"tools": ["create_vendor"]}, {"tools": ["pay_invoice"]}]
    own = sod_policies.propose("vendor-and-payment", sentence="Ours.", sides=sides, by=company.ana, reason="x")
    sod_policies.publish(own.pk, by=company.resa, reason="Seen.")
    templates.save("movers-by-hand", name="Ours", by=company.ana)
    planned = {
        each.key: each for slug in ("finance", "ownership-and-movers") for each in starter_packs.plan(_pack(slug))
    }
    policy, template = planned["sod-policy:vendor-and-payment"], planned["review-template:movers-by-hand"]
    assert policy.standing == template.standing == Standing.CHANGED
    assert ("Sentence", "Ours.", "Creates vendors and pays them.") in {
        (each.name, each.now, each.pack) for each in policy.differences
    }
    page = visits.text(visits.as_(company.ana).get(f"{PAGE}finance/"))
    assert "<del>Ours.</del>" in page
    _apply("finance", company.ana)
    assert SodPolicy.objects.get(state=SodPolicy.State.PROPOSED, name="vendor-and-payment").number == 2
    _apply("ownership-and-movers", company.ana)
    assert CampaignTemplate.objects.get(slug="movers-by-hand").version == 2


def test_one_refused_part_undoes_all(company: Company) -> None:
    sod_policies.propose(
        "payment-and-approval",
        sentence="Ours.",
        sides=[{"tools": ["a"]}, {"tools": ["b"]}],
        by=company.resa,
        reason="Other.",
    )
    assert [each.standing for each in starter_packs.plan(_pack("finance"))] == [Standing.NEW, Standing.BLOCKED]
    with pytest.raises(sod_policies.AlreadyProposed):
        _apply("finance", company.ana)
    assert not SodPolicy.objects.filter(name="vendor-and-payment").exists()
    with pytest.raises(starter_packs.StarterPackPartUnknown):
        _apply("finance", company.ana, "sod-policy:vendor-and-payment", "sod-policy:elsewhere")
    assert not SodPolicy.objects.filter(name="vendor-and-payment").exists()


def test_what_the_installation_lacks_is_said(company: Company) -> None:
    ana, resa = visits.as_(company.ana), visits.as_(company.resa)
    page = visits.text(ana.get(f"{PAGE}finance/"))
    assert "No tool of this installation stands on sides 1, 2 yet." in page
    assert "can carry data outside" in visits.text(ana.get(f"{PAGE}lethal-trifecta/"))
    assert "It needs 2 people with the admin role security" not in visits.text(resa.get(f"{PAGE}regulated/"))
    Person.objects.filter(pk=company.rob.pk).update(is_active=False, disabled_at=clock.now())
    text = "It needs 2 people with the admin role security; this installation has 1."
    assert text in visits.text(resa.get(f"{PAGE}regulated/"))
    company.system.status = "disabled"
    company.system.save()
    assert "No entitlement has an approved low-risk tool" in visits.text(resa.get(f"{PAGE}engineering-self-service/"))


def test_a_person_ticks_parts_and_proposes_them_without_script(company: Company) -> None:
    ana = visits.as_(company.ana)
    listed = visits.text(ana.get(PAGE))
    assert "Finance duties" in listed
    assert "Access reviews" in listed
    assert f'href="{PAGE}"' in visits.text(ana.get("/settings/setup/"))
    form = {"part": "sod-policy:vendor-and-payment", "reason": "The auditors asked."}
    assert "reason_required" in visits.text(ana.post(f"{PAGE}finance/", {**form, "reason": " "}))
    assert "Tick at least one part." in visits.text(ana.post(f"{PAGE}finance/", {"reason": "None."}))
    page = visits.text(ana.post(f"{PAGE}finance/", form, follow=True))
    assert "1 proposal is made. Another person puts it in force." in page
    proposed = SodPolicy.objects.get()
    assert f'href="/sod-policies/{proposed.pk}/"' in page
    assert "this installation has these parts already" in visits.text(ana.post(f"{PAGE}finance/", form, follow=True))
    stale = visits.as_(company.ana, fresh=False)
    assert "step_up_required" in visits.text(stale.post(f"{PAGE}hr-payroll/", {**form, "part": "x"}))


@pytest.mark.parametrize(
    ("roles", "slug", "reads", "applies"),
    [
        ([], "finance", 403, 403),
        ([Role.AUDITOR], "finance", 200, 403),
        ([Role.RESPONDER], "finance", 403, 403),
        ([Role.ADMIN], "finance", 404, 404),
        ([Role.ADMIN], "regulated", 200, 201),
        ([Role.ANALYST], "regulated", 200, 403),
        ([Role.SECURITY], "access-reviews", 200, 403),
        ([Role.ANALYST], "access-reviews", 200, 201),
    ],
)
@pytest.mark.usefixtures("company")
def test_a_pack_opens_no_more_than_the_act_by_hand(roles: list[str], slug: str, reads: int, applies: int) -> None:
    person = make.person(roles=roles)
    keys = [each.key for each in starter_packs.plan(_pack(slug))]
    assert api.of(person).get(f"{API}/{slug}").status_code == reads
    body = {"parts": keys, "reason": "We begin."}
    assert api.proven(person).post(f"{API}/{slug}/apply", body, format="json").status_code == applies
    if applies != 201:
        assert not SodPolicy.objects.exists()
        assert not PolicyProposal.objects.exists()
        assert not CampaignTemplate.objects.exists()


def test_an_analyst_within_a_limit_reads_and_proposes_nothing(company: Company) -> None:
    ana = company.ana
    ana.roles.update(is_limited=True, limit_systems=[company.system.pk])
    assert api.of(ana).get(f"{API}/finance").status_code == 403
    assert visits.as_(ana).post(f"{PAGE}finance/", {"part": "x", "reason": "y"}).status_code == 403


def test_over_the_api_the_same_key_proposes_once(company: Company) -> None:
    ana = api.proven(company.ana)
    listed = ana.get(API).json()
    assert {row["kind"] for row in listed["results"]} == {kind.value for kind in Kind}
    shown: dict[str, Any] = ana.get(f"{API}/finance").json()
    assert [(part["key"], part["standing"]) for part in shown["parts"]] == [
        ("sod-policy:vendor-and-payment", "new"),
        ("sod-policy:payment-and-approval", "new"),
    ]
    body = {"parts": [shown["parts"][0]["key"]], "reason": "We begin."}
    first, second = (
        ana.post(f"{API}/finance/apply", body, format="json", headers={"Idempotency-Key": "one"}) for _ in range(2)
    )
    assert first.status_code == 201
    proposed = SodPolicy.objects.get()
    assert first.json() == second.json()
    assert first.json()["results"] == [{"key": body["parts"][0], "made": True, "id": str(proposed.pk)}]
    other = ana.post(f"{API}/finance/apply", body, format="json", headers={"Idempotency-Key": "two"}).json()
    assert other["results"] == [{"key": body["parts"][0], "made": False, "id": str(proposed.pk)}]
    refused = ana.post(f"{API}/finance/apply", {"parts": ["x"], "reason": "y"}, format="json")
    assert (refused.status_code, refused.json()["code"]) == (422, "starter_pack_part_unknown")
    assert ana.get(f"{API}/nothing").status_code == 404
