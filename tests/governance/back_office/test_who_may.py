"""Every act by every admin role: offered exactly where the matrix admits it, and refused when it is posted by hand."""

from __future__ import annotations

import re
from typing import Any

import pytest
from django.db import transaction
from django.test import Client

from entitlements.agents.models import Agent
from entitlements.people.models import OFFICE, Person, Role
from governance.back_office.acts import Act
from governance.console import matrix, matrix_rows
from tests import make, shared
from tests.governance.back_office import desk
from tests.governance.console import visits

pytestmark = pytest.mark.django_db
made_world, world = shared.world(desk.made)


def _admitted(role: str, act: Act) -> bool:
    return role in OFFICE and role in matrix_rows.API[act.action.address, act.action.method].roles


def _offers(browser: Client, kind: str, act: str, row: Any) -> tuple[bool, bool]:  # noqa: ANN401 - a row
    """Say whether the list offers an act, and whether the page of a row does."""
    address = desk.ADMINS[kind].address
    listed = visits.text(browser.get(address("changelist")))
    shown = visits.text(browser.get(address("change", row.pk)))
    return f'<option value="{act}"' in listed, f"/acts/{act}/?key={row.pk}" in shown


@pytest.mark.parametrize("role", OFFICE)
def test_an_act_is_offered_where_the_matrix_admits_it(role: str, world: desk.Desk) -> None:
    browser = visits.as_(make.person("by-role", roles=[role]))
    for each in desk.ADMINS.values():
        listed = re.findall(r'<option value="([a-z]+)"', visits.text(browser.get(each.address("changelist"))))
        assert set(listed) & {act.name for act in each.acts} == {act.name for act in each.acts if _admitted(role, act)}
    for (kind, name), row in world.rows.items():
        if kind == "governance_accessrequest" and role == Role.ADMIN:
            continue  # who sees no request has no page of one
        shown = visits.text(browser.get(desk.ADMINS[kind].address("change", row.pk)))
        offered = f"/acts/{name}/?key={row.pk}" in shown
        assert offered == _admitted(role, desk.ACTS[kind, name]), (kind, name)


@pytest.mark.parametrize("role", ["", *Role.values])
def test_an_act_that_is_posted_by_hand_is_done_where_the_matrix_admits_it(role: str, world: desk.Desk) -> None:
    browser = visits.as_(make.person("by-role", roles=[role] if role else []))
    for (kind, name), act in desk.ACTS.items():
        row, admitted = world.rows[kind, name], _admitted(role, act)
        if name == "close":
            continue  # its owner alone leaves items without a decision
        around = transaction.atomic()
        around._from_testcase = True  # type: ignore[attr-defined] # a refusal is recorded durably within
        with around:
            done = desk.press(browser, kind, name, row)
            refusals = visits.refusals()
            transaction.set_rollback(True)
        assert (done.status_code == 302) == admitted, (kind, name, desk.code(done))
        if not admitted:
            assert done.status_code in (403, 404), (kind, name)
            assert refusals[-1][0] == "person:by-role"
            assert refusals[-1][1] in ("forbidden", "not_an_approver", "not_found")


@pytest.mark.parametrize("kind", ["entitlements_grant", "entitlements_agent", "entitlements_client"])
def test_an_administrator_is_offered_what_their_own_agents_admit(kind: str, world: desk.Desk) -> None:
    adele, row = Person.objects.get(login="adele"), world.rows[kind, "suspend"]
    assert _offers(visits.as_(adele), kind, "suspend", row) == (False, False)

    Agent.objects.filter(slug=world.company.bot.slug).update(sponsor=adele)

    assert _offers(visits.as_(adele), kind, "suspend", row) == (True, True)
    assert desk.press(visits.as_(adele), kind, "suspend", row).status_code == 302


def test_a_request_is_answered_by_those_it_waits_for(world: desk.Desk) -> None:
    kind, request = "governance_accessrequest", world.rows["governance_accessrequest", "approve"]
    resa, ana = visits.as_(world.company.resa), visits.as_(world.company.ana)
    assert _offers(resa, kind, "approve", request) == (True, True)
    assert _offers(ana, kind, "approve", request) == (False, False)
    assert desk.code(desk.press(ana, kind, "approve", request)) == "not_an_approver"


def test_each_page_asks_the_rows_of_its_acts_and_no_others() -> None:
    declared = {
        kind: {(act.action.address, act.action.method) for act in each.acts} for kind, each in desk.ADMINS.items()
    }
    asked = {
        name.removeprefix("admin:").removesuffix("_act"): set(page.asks)
        for (name, _method), page in matrix.OFFICE_ACTS.items()
    }
    assert declared == asked
