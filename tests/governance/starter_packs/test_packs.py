"""Pure: the shipped packs, read by the rules of their parts."""

from __future__ import annotations

import pytest

from entitlements.agents.models import Agent
from entitlements.words import Risk
from governance.approval_policies import rules as approval_rules
from governance.approval_policies.models import LONGEST_BY_RULE, LONGEST_RULE
from governance.reviews.items import review_rules
from governance.reviews.templates.templates import MONTHS
from governance.sod import rules as sod_rules
from governance.sod.rules import HeldTool
from governance.starter_packs import packs
from governance.starter_packs.packs import ApprovalPart, AutoApprovalPart, Kind, Pack, SodPart, TemplatePart

PACKS = list(packs.read_all().values())


@pytest.mark.parametrize("pack", PACKS, ids=lambda pack: pack.slug)
def test_each_part_is_read_by_its_rules(pack: Pack) -> None:
    assert all((pack.title, pack.audience, pack.version, pack.sources, pack.parts))
    for part in pack.parts:
        match part:
            case SodPart(sides=sides):
                assert len(sod_rules.read(sides)) >= 2
                assert pack.kind == Kind.SOD
            case ApprovalPart(stages=stages):
                approval_rules.check_policy(stages)
                approval_rules.check_grows(stages)
                assert pack.kind == Kind.APPROVAL
            case AutoApprovalPart(longest=longest, ends_after=ends, agent_types=types):
                assert longest <= LONGEST_BY_RULE
                assert ends <= LONGEST_RULE
                assert set(types) <= set(Agent.Kind.values)
            case TemplatePart(options=options, cadence=cadence):
                assert review_rules.may_choose(options.strategies)
                assert cadence in {"none", *MONTHS}
                assert pack.kind == Kind.REVIEW


def test_every_kind_is_shipped_and_no_name_twice() -> None:
    assert {pack.kind for pack in PACKS} == set(Kind)
    names = [part.name for pack in PACKS for part in pack.parts if isinstance(part, SodPart)]
    slugs = [part.slug for pack in PACKS for part in pack.parts if isinstance(part, TemplatePart)]
    assert len(names) == len(set(names))
    assert len(slugs) == len(set(slugs))


@pytest.mark.parametrize(
    ("name", "tools"),
    [
        ("vendor-and-payment", ("create_payee", "pay_invoice")),
        ("payment-and-approval", ("create_invoice", "approve_payment")),
        ("employee-and-payroll", ("update_bank_account", "run_payroll")),
        ("salary-and-approval", ("set_salary", "approve_salary_change")),
        ("code-and-deployment", ("push_commits", "deploy_release")),
        ("code-and-approval", ("write_file", "approve_pull_request")),
        ("access-and-audit-log", ("assign_role", "delete_audit_log")),
    ],
)
def test_a_policy_forbids_the_two_duties_together_and_neither_alone(name: str, tools: tuple[str, str]) -> None:
    sides = sod_rules.read(packs.sod_policy(name).sides)
    first, second = (HeldTool("erp", tool, "write", Risk.MEDIUM, "internal") for tool in tools)
    assert sod_rules.completed(sides, [first]) is None
    assert sod_rules.completed(sides, [second]) is None
    assert sod_rules.completed(sides, [first, second]) is not None


def test_a_policy_that_no_pack_has_is_not_found() -> None:
    with pytest.raises(LookupError):
        packs.sod_policy("nothing")
