"""What people do about the access to a system, and what they are kept from, is the same for each kind of it."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from pathlib import Path

import pytest
from django.db import DatabaseError, transaction
from pytest_django.fixtures import Settings

from audit.context import SYSTEM
from audit.models import Event
from entitlements.catalog import errors as catalog_errors
from entitlements.catalog import systems
from entitlements.catalog.models import System
from entitlements.errors import DomainError
from entitlements.grants.models import Grant
from entitlements.stdio_commands import proposals
from entitlements.stdio_commands import systems as stdio_systems
from entitlements.vendors import vendors
from governance.approvals import approvals
from governance.approvals.models import Approval
from governance.approvals.rules import BeneficiaryMayNotApprove, OwnerMayNotApprove, SelfApproval
from governance.operations import checks
from governance.requests import requests
from governance.reviews.campaigns import close
from governance.reviews.decisions.models import ReviewDecision
from governance.reviews.items.answer import Answer
from governance.reviews.remediation import remediation
from tests import make
from tests.entitlements.stdio import packages
from tests.governance import companies
from tests.governance.companies import Company
from tests.governance.reviews import worlds
from tests.governance.reviews.kinds.subjects import ties_out
from tests.promises.table import kinds

pytestmark = pytest.mark.django_db


def company_of(kind: str) -> Company:
    """Make the small company, whose system is of this kind."""
    company = companies.found()
    system = make.vendor(owner=company.sam) if kind == System.Kind.MCP else make.system(kind=kind, owner=company.sam)
    tools = [make.tool(system, name, risk=risk) for name, risk in (("now", "low"), ("remove", "low"))]
    return replace(company, system=system, use=make.entitlement(system, *tools))


def granted(company: Company) -> Grant:
    """Have access requested by otto and approved by sofia."""
    request = company.ask("now", "remove")
    approvals.approve(request.pk, by=company.sofia, expected_version=1, reason="fine")
    return Grant.objects.get(request_id=request.pk)


@kinds(6)
def test_nobody_approves_or_certifies_their_own(kind: str) -> None:
    company = company_of(kind)
    for requester, approver, refusal in (
        (company.sofia, company.sofia, SelfApproval),
        (company.otto, company.otto, SelfApproval),
        (company.sofia, company.otto, OwnerMayNotApprove),
        (company.otto, company.alice, BeneficiaryMayNotApprove),
        (company.alice, company.alice, SelfApproval),
    ):
        request = company.ask("now", by=requester)
        with pytest.raises(refusal):
            approvals.approve(request.pk, by=approver, expected_version=1, reason="fine")
        assert not Approval.objects.filter(request=request, answer=Approval.Answer.APPROVED).exists()
        requests.cancel(request.pk, by=requester)
    granted(company)
    item = worlds.item(worlds.campaign(company))
    for own in (company.otto, company.alice):
        with pytest.raises((DomainError, DatabaseError)), transaction.atomic():
            worlds.answer(item.campaign, own, [(item, worlds.KEEP)])
    assert not ReviewDecision.objects.filter(item=item).exists()


@kinds(4)
def test_each_step_from_the_request_to_the_review_has_one_event(kind: str) -> None:
    company = company_of(kind)
    granted(company)
    campaign = worlds.campaign(company)
    done = worlds.answer(campaign, company.sofia, [(worlds.item(campaign), worlds.REMOVE)])
    assert remediation.verify(done.removals[0]).state == "verified"
    happened = Counter(event.action for event in Event.objects.all())
    for once in ONCE:
        assert happened[once] == 1, (once, happened)


ONCE = (
    *("request.submitted", "approval.given", "grant.issued"),
    *("review.decided", "grant.suspended", "remediation.verified"),
)


@kinds("review")
def test_a_review_reduces_proves_and_seals_what_it_did(kind: str, tmp_path: Path) -> None:
    """Show 5: certify, reduce and revoke, their verification and their evidence."""
    company = company_of(kind)
    grant = granted(company)
    campaign = worlds.campaign(company)
    item = worlds.item(campaign)
    line = item.lines.get(tool__name="now")
    reduce = Answer("reduce", "unused", "One is enough.", kept=(line.pk,))
    done = worlds.answer(campaign, company.sofia, [(item, reduce)])
    assert remediation.verify(done.removals[0]).state == "verified"
    assert [kept.tool.name for kept in grant.lines.all()] == ["now"]
    close.close(campaign.pk, by=company.ana, reason="All is answered.")
    assert ties_out(campaign, tmp_path)


@kinds(12)
def test_what_is_unsafe_is_not_registered(kind: str, settings: Settings, tmp_path: Path) -> None:
    settings.DEMO = False
    owner, analyst = make.person(), make.analyst()
    match kind:
        case System.Kind.STDIO:
            with pytest.raises(stdio_systems.CommandUnknown):
                stdio_systems.register("odd", name="Odd", owner=owner, command="odd", by=SYSTEM)
            given = {"folder": str(tmp_path), "argv": packages.ARGV, "without": ["landlock"]}
            with pytest.raises(DomainError):
                proposals.propose("odd", by=analyst, reason="no sandbox", **given)
        case System.Kind.MCP:
            for issuer in ("http://vendor.example", "https://me@vendor.example", "http://localhost:1"):
                with pytest.raises(vendors.VendorMalformed):
                    make.vendor(issuer=issuer)
        case _:
            for address in ("http://api.example", "https://me@api.example", "http://localhost:1", *NEVER):
                with pytest.raises(catalog_errors.SystemMalformed):
                    systems.register_system("odd", name="Odd", kind=kind, owner=owner, upstream_url=address, by=SYSTEM)
    assert not System.objects.filter(slug="odd").exists()
    settings.DEMO = True
    assert "mandate.E001" in {found.id for found in checks.production_is_not_a_demo(None)}


NEVER = (
    *("https://127.0.0.1/", "https://127.1/", "https://2130706433/", "https://0x7f000001/", "https://017700000001/"),
    *("https://0.0.0.0/", "https://169.254.169.254/latest", "https://[::1]/", "https://[::]/", "https://[fe80::1]/"),
    *("https://[::ffff:127.0.0.1]/", "https://[::ffff:a9fe:a9fe]/", "https://[64:ff9b::7f00:1]/"),
    *("https://100.100.100.200/", "https://[fd00:ec2::254]/"),
)
"""Where no network of any system leads: this machine, its links, and where clouds hand out credentials."""
