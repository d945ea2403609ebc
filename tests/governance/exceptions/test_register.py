"""The exception register: three kinds in one list, what is wrong with each, and who sees which."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

import pytest
from allauth.mfa.models import Authenticator
from django.db import connection
from django.test import RequestFactory

from audit import clock
from entitlements.access import caller as callers
from entitlements.people.models import Person, Role
from governance.break_glass import break_glass
from governance.console.kit.lists import keyset
from governance.console.kit.lists.keyset import Order
from governance.eligibility import eligibility
from governance.exceptions import queries
from governance.exceptions.models import RegisteredException
from governance.home_page.queries import overview
from governance.reviews.remediation import exceptions as remediation_exceptions
from governance.reviews.remediation import remediation, verification
from governance.sod import exceptions, policies
from governance.sod.models import SodException, SodPolicy
from governance.tickets.models import TicketPolicy
from tests import make, shared
from tests.entitlements.api import client as api
from tests.governance.companies import Company
from tests.governance.console import visits
from tests.governance.reviews import worlds

pytestmark = pytest.mark.django_db
PAGE, URL = "/exceptions/", "/api/v1/exceptions"

type Move = Callable[[datetime | timedelta], datetime]


@dataclass(frozen=True)
class World:
    """A company with one exception of each kind: for 100 days, for an hour, and for ten days."""

    company: Company
    policy: SodPolicy
    keys: dict[str, str]


def build() -> World:
    """Make it."""
    company, campaign = worlds.reviewed()
    item = worlds.item(campaign)
    (decision,) = worlds.answer(campaign, company.sofia, [(item, worlds.REMOVE)]).removals
    with pytest.MonkeyPatch.context() as broken:
        broken.setattr(verification, "_calls", lambda *_, **__: [])  # nobody can say what the tools answer now
        assert remediation.verify(decision).state == "failed"
    ends = clock.now() + timedelta(days=10)
    left = remediation_exceptions.make(
        decision, control="Logs are read.", expires_at=ends, by=company.ana, reason="why"
    )
    sides = [{"tools": ["now"]}, {"tools": ["elsewhere"]}]
    policy = policies.propose("pair", sentence="Looks and waits.", sides=sides, by=company.ana, reason="a sample")
    policies.KIND.confirm(policy.pk, by=company.resa, reason="seen")
    ends = clock.now() + timedelta(days=100)
    given = exceptions.give(
        policy.pk, company.bot, control="Looked at.", expires_at=ends, by=company.rob, reason="pilot"
    )
    Authenticator.objects.create(user=company.resa, type=Authenticator.Type.TOTP, data={})
    ask = eligibility.RequestTerms(timedelta(hours=1), "It burns.", (company.alice,), tools=frozenset({"now"}))
    urgent = break_glass.give(company.bot, company.use, ask, by=company.resa)
    keys = {"sod": f"sod:{given.pk}", "policy": f"policy:{urgent.pk}", "remediation": f"remediation:{left.pk}"}
    return World(company, policy, keys)


made_world, world = shared.world(build)


def rows(person: Person, **query: str) -> list[dict[str, Any]]:
    """Return the rows of the file that a list writes."""
    columns = "key,kind,what,agent,system,owner,control,since,ends,ended,findings,state"
    answer = visits.as_(person).get(PAGE, {"columns": columns, "export": "jsonl", **query})
    return [json.loads(line) for line in visits.text(answer).splitlines()]


def named(person: Person, **query: str) -> list[str]:
    return [row["key"] for row in rows(person, **query)]


def test_the_three_kinds_stand_in_one_list_with_control_owner_and_end(world: World) -> None:
    found = {row["kind"]: row for row in rows(world.company.ana)}
    assert {kind: row["key"] for kind, row in found.items()} == world.keys
    assert {kind: (row["what"], row["owner"], row["control"], row["system"]) for kind, row in found.items()} == {
        "sod": ("Looks and waits.", "rob", "Looked at.", None),
        "policy": (world.company.use.name, "resa", "Review by another person: not done yet", "clock"),
        "remediation": (world.company.bot.name, "ana", "Logs are read.", "clock"),
    }
    assert {row["agent"] for row in found.values()} == {"research-bot"}
    assert {row["state"] for row in found.values()} == {"open"}


def test_each_row_leads_to_the_page_on_which_it_is_ended(world: World) -> None:
    company, page = world.company, visits.text(visits.as_(world.company.resa).get(PAGE))
    for row in RegisteredException.objects.all():
        assert f'href="{row.address}"' in page
        assert visits.as_(company.resa).get(row.address).status_code == 200
    policy_page = f"/sod-policies/{world.policy.pk}/"
    given = SodException.objects.get()
    assert f"/exceptions/{given.pk}/end/" in visits.text(visits.as_(company.resa).get(policy_page))
    ended = visits.as_(company.resa).post(f"/exceptions/{given.pk}/end/", {"reason": "Pilot over."})
    assert ended["Location"] == f"{policy_page}#exceptions"
    assert named(company.ana, state="ended") == [world.keys["sod"]]
    assert rows(company.ana, state="ended")[0]["ended"] is not None


def test_facets_and_search_narrow_the_list(world: World) -> None:
    ana, keys = world.company.ana, world.keys
    assert named(ana, kind="sod") == [keys["sod"]]
    assert set(named(ana, system="clock")) == {keys["policy"], keys["remediation"]}
    assert named(ana, owner="rob") == [keys["sod"]]
    assert named(ana, q="logs are") == [keys["remediation"]]
    assert named(ana, sort="ends") == [keys["policy"], keys["remediation"], keys["sod"]]
    assert named(ana, view="ending") == [keys["remediation"]], "an hour of break-glass access always ends soon"
    assert named(ana, view="orphaned") == []


def test_an_exception_without_an_owner_or_near_its_end_is_a_finding(world: World, at: Move) -> None:
    company = world.company
    Person.objects.filter(pk=company.rob.pk).update(is_active=False, disabled_at=clock.now())
    assert named(company.ana, view="orphaned") == [world.keys["sod"]]
    assert "No active owner" in visits.text(visits.as_(company.ana).get(PAGE, {"view": "orphaned"}))
    at(timedelta(days=90))
    ((found,),) = [rows(company.ana, finding="ends_soon")]
    assert (found["key"], found["findings"]) == (world.keys["sod"], "No active owner, Ends within 14 days")
    for row in queries.visible_to(callers.of(company.ana)):
        meets = {name for name, where in queries.conditions(clock.now()).items()
                 if RegisteredException.objects.filter(where, pk=row.pk).exists()}  # fmt: skip
        assert set(queries.findings(row, clock.now())) == meets
    at(timedelta(days=11))
    assert named(company.ana, state="open") == [], "what is over is no longer in force, before the worker ends it too"
    assert named(company.ana, finding="ends_soon") == []


def test_home_names_the_exceptions_that_end_soon_from_the_same_list(world: World) -> None:
    titles = [row.title for row in overview.needs() if row.kind == "Exception"]
    assert titles == [f"A remediation exception ends: {world.company.bot.name}"]


def test_the_api_lists_what_the_console_lists(world: World) -> None:
    company, keys = world.company, world.keys
    results = api.of(company.ana).get(URL).json()["results"]
    assert [row["key"] for row in results] == named(company.ana)
    (found,) = api.of(company.ana).get(URL, {"kind": "remediation", "state": "open"}).json()["results"]
    assert (found["owner"], found["control"], found["findings"]) == ("ana", "Logs are read.", ["ends_soon"])
    assert found["address"].endswith(RegisteredException.objects.get(pk=keys["remediation"]).address)
    for query, expected in (({"owner": "rob"}, ["sod"]), ({"finding": "no_owner"}, []), ({"agent": "x"}, [])):
        listed = api.of(company.ana).get(URL, query).json()["results"]
        assert [row["key"] for row in listed] == [keys[kind] for kind in expected], query
    first = api.of(company.ana).get(URL, {"limit": "2"}).json()
    second = api.of(company.ana).get(URL, {"limit": "2", "cursor": first["next"]}).json()
    assert [row["key"] for row in first["results"] + second["results"]] == named(company.ana)


def test_who_has_no_role_for_it_finds_no_register(world: World) -> None:
    for person in (world.company.mallory, world.company.sofia):
        assert visits.as_(person).get(PAGE).status_code == 403
        assert api.of(person).get(URL).status_code == 403
    assert visits.as_(make.person(roles=[Role.AUDITOR])).get(PAGE).status_code == 200


def test_the_application_reads_the_register_and_nobody_writes_it() -> None:
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT has_table_privilege('governance_exceptionregister', 'SELECT'),"
            " has_table_privilege('governance_exceptionregister', 'INSERT, UPDATE, DELETE, TRUNCATE')"
        )
        assert cursor.fetchone() == (True, False)


def test_ten_thousand_exceptions_are_paged_by_key(world: World) -> None:
    company, now = world.company, clock.now()
    agents = [make.agent(f"many-{number}") for number in range(2)]
    given: dict[str, Any] = {"rule": world.policy, "reason": "=1+1", "control": "<b>x</b>", "given_by": company.rob}
    SodException.objects.bulk_create(
        SodException(
            **given,
            agent=agents[number % 2],
            given_at=now - timedelta(minutes=number // 3),
            expires_at=now + timedelta(days=1),
            ended_at=now,
            end_reason="x",
        )
        for number in range(10_000)
    )
    listed, order = queries.visible_to(callers.of(company.ana)), Order("since", "pk", is_down=True)
    walked, cursor = list[str](), ""
    for _page in range(4):
        page = keyset.page(RequestFactory().get(PAGE, {"cursor": cursor} if cursor else {}), listed, order, 3000)
        walked, cursor = [*walked, *(row.pk for row in page.rows)], page.next or ""
    assert cursor == ""
    assert walked == list(listed.order_by("-since", "-pk").values_list("pk", flat=True))
    assert len(walked) == len(set(walked)) == 10_003
    table = visits.text(visits.as_(company.ana).get(PAGE, {"columns": "reason", "export": "csv"}))
    assert '\n"=1' not in table
    assert "<b>x</b>" not in visits.text(visits.as_(company.ana).get(PAGE))


def test_the_ticket_of_an_exception_is_shown_and_found(world: World) -> None:
    SodException.objects.update(ticket="CHG-17")
    (row,) = rows(world.company.ana, q="CHG-17", columns="key,ticket")
    assert row == {"key": world.keys["sod"], "ticket": "CHG-17"}
    with_one, without = named(world.company.ana, ticket="any"), named(world.company.ana, ticket="none")
    assert (with_one, len(without)) == ([world.keys["sod"]], 2)
    pattern = {"name": "Jira", "expression": r"CHG-\d+", "link": "https://jira.example.com/browse/{ticket}"}
    TicketPolicy.objects.create(number=1, patterns=[pattern], needs={}, made_by=world.company.ana, made_at=clock.now())
    assert 'href="https://jira.example.com/browse/CHG-17"' in visits.text(visits.as_(world.company.ana).get(PAGE))
    listed = api.of(world.company.ana).get(f"{URL}?ticket=CHG-17").json()["results"]
    assert [each["key"] for each in listed] == [world.keys["sod"]]


def test_a_failed_remediation_without_an_exception_stands_in_the_list_with_the_way_to_one(
    world: World, at: Move
) -> None:
    company, excepted = world.company, RegisteredException.objects.get(pk=world.keys["remediation"])
    assert named(company.ana, state="unexcepted") == []
    at(timedelta(days=11))
    assert remediation_exceptions.end_due() == 1
    (row,) = rows(company.ana, view="unexcepted")
    assert (row["kind"], row["what"], row["agent"], row["system"]) == (
        "remediation",
        company.bot.name,
        "research-bot",
        "clock",
    )
    assert (row["state"], row["owner"], row["ends"], row["findings"]) == ("unexcepted", None, None, "")
    assert set(named(company.ana, kind="remediation")) == {row["key"], excepted.pk}
    assert set(named(company.ana, state="ended")) >= {excepted.pk}
    assert row["key"] not in named(company.ana, state="open") + named(company.ana, state="ended")
    for each in queries.visible_to(callers.of(company.ana)):
        meets = {name for name, where in queries.in_state(clock.now()).items()
                 if RegisteredException.objects.filter(where, pk=each.pk).exists()}  # fmt: skip
        assert {queries.state(each, clock.now())} == meets
    link = f'<a href="{excepted.address}">Give an exception</a>'
    assert link in visits.text(visits.as_(company.resa).get(PAGE, {"view": "unexcepted"}))
    assert 'value="except"' in visits.text(visits.as_(company.resa).get(excepted.address))
    auditor = visits.text(visits.as_(make.person(roles=[Role.AUDITOR])).get(PAGE, {"view": "unexcepted"}))
    assert "Open, without exception" in auditor
    assert link not in auditor, "who may not give one is not asked to"
    (listed,) = api.of(company.ana).get(URL, {"state": "unexcepted"}).json()["results"]
    assert (listed["key"], listed["owner"], listed["expires_at"]) == (row["key"], None, None)
    decision, ends = row["key"].removeprefix("failed:"), clock.now() + timedelta(days=9)
    given = remediation_exceptions.make(decision, control="Read.", expires_at=ends, by=company.resa, reason="still")
    assert named(company.ana, state="unexcepted") == []
    assert f"remediation:{given.pk}" in named(company.ana, state="open")
