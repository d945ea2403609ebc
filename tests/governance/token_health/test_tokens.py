"""Tokens, live and recent: how wide against grant and use, how bound, how old their sign-in; and what of it to fix."""

from __future__ import annotations

import csv
import io
import json
import uuid
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import pytest
from pytest_django import DjangoAssertNumQueries
from pytest_django.fixtures import Settings

from audit import clock
from entitlements.access import caller
from entitlements.clients.models import Client
from entitlements.grants.models import Grant
from entitlements.sessions.models import Session
from entitlements.token_families.models import TokenFamily
from entitlements.tokens.models import IssuedToken
from governance.console.kit.lists import export
from governance.reviews.usage.models import UsageDay
from governance.token_health import groups
from governance.token_health.models import TokenGroup
from governance.token_health.queries import findings as queries
from governance.token_health.queries import tokens
from governance.token_health.rules import Kind
from tests import make, snapshots
from tests.entitlements.api import client
from tests.governance import companies
from tests.governance.companies import Company
from tests.governance.console import visits

pytestmark = pytest.mark.django_db
URL = "/api/v1/token-health/tokens"
PAGE = "/token-health/tokens/"
TOOLS = ("now", "convert", "remove", "wipe")


@dataclass
class World:
    """The company whose bot holds four tools for alice, and fetched a token for them in a session."""

    company: Company
    client: Client
    grant: Grant
    session: Session
    token: IssuedToken

    def issue(self, **changes: Any) -> IssuedToken:  # noqa: ANN401 - columns of a token
        now = clock.now()
        usual: dict[str, Any] = {
            "kind": IssuedToken.Kind.ACCESS_TOKEN,
            "system": self.company.system,
            "client": self.client,
            "agent": self.company.bot,
            "person": self.company.alice,
            "session": self.session,
            "scope": "clock:use",
            "issued_at": now - timedelta(seconds=10),
            "expires_at": now + timedelta(seconds=200),
        }
        return IssuedToken.objects.create(**usual | changes)

    def call(self, tool: str, *, people: list[str] | None = None) -> None:
        """Let a day's calls of a tool have been added up."""
        held = self.grant.lines.get(tool__name=tool)
        from django.db import connection  # noqa: PLC0415 - to hash as the roll-up does

        with connection.cursor() as cursor:
            cursor.execute(
                "SELECT hashtextextended('person:' || who, 0) FROM unnest(%s::text[]) who", [people or ["alice"]]
            )
            hashes = [row[0] for row in cursor.fetchall()]
        now = clock.now()
        UsageDay.objects.create(
            agent=self.company.bot,
            grant=self.grant,
            tool=held.tool,
            day=now,
            calls=1,
            denied=0,
            people=hashes,
            last_at=now,
        )

    def found(self, *kinds: Kind) -> dict[str, tuple[str, str, str, str]]:
        """Return the findings of some kinds as an analyst sees them."""
        groups.count()
        every = queries.findings(caller.of(self.company.ana))
        return {
            each.kind: (each.about, each.reason, each.address, each.system)
            for each in every
            if not kinds or each.kind in kinds
        }


def made() -> World:
    """Make the company, and what its bot fetched."""
    company, now = companies.found(), clock.now()
    client_made, _ = make.client(company.bot, "desk")
    grant = make.grant(company.bot, company.use, people=[company.alice, company.bob])
    Grant.objects.filter(pk=grant.pk).update(starts_at=now - timedelta(days=8))
    session = Session.objects.create(
        agent=company.bot,
        client=client_made,
        person=company.alice,
        sign_in_sha256="0" * 64,
        started_at=now,
        last_used_at=now,
        expires_at=now + timedelta(hours=12),
        auth_time=now - timedelta(hours=2),
    )
    world = World(company, client_made, grant, session, IssuedToken())
    world.token = world.issue()
    return world


_restored = snapshots.restored(made)


@pytest.fixture
def world() -> World:
    return _restored()


def rows(world: World, **filters: str) -> list[dict[str, Any]]:
    listed: list[dict[str, Any]] = client.of(world.company.ana).get(URL, filters).json()["results"]
    return listed


def test_a_token_is_compared_with_its_grant_and_with_the_calls_for_its_person(world: World) -> None:
    world.call("now")
    world.call("convert", people=["bob"])
    (row,) = rows(world)
    assert (row["opened"], row["held"], row["used"]) == (4, 4, 1), "what it was called for bob is not for alice"
    assert (row["agent"], row["person"], row["client"], row["system"]) == ("research-bot", "alice", "desk", "clock")
    assert (row["state"], row["binding"], row["method"]) == ("live", "bearer", "private_key_jwt")
    assert (row["lifetime_seconds"], row["family"], row["last_call_at"]) == (210, None, None)
    assert row["auth_time"] is not None


def test_a_narrower_token_opens_less_than_its_agent_holds(world: World) -> None:
    company = world.company
    other = make.entitlement(company.system, company.use.lines.first().tool, scope="clock:read")  # type: ignore[union-attr]
    tool = make.tool(company.system, "zones")
    more = make.entitlement(company.system, tool, scope="clock:zones")
    for entitlement in (other, more):
        make.grant(company.bot, entitlement, people=[company.alice])
    IssuedToken.objects.filter(pk=world.token.pk).update(scope="clock:zones")
    (row,) = rows(world)
    assert (row["opened"], row["held"]) == (1, 5)
    world.grant.__class__.objects.filter(pk=world.grant.pk).update(state="suspended")
    (row,) = rows(world)
    assert (row["opened"], row["held"]) == (1, 2), "a suspended grant opens nothing"


def test_calls_past_the_gateway_are_not_seen_and_not_counted_as_unused(world: World) -> None:
    type(world.company.system).objects.filter(pk=world.company.system.pk).update(kind="mcp")
    (row,) = rows(world)
    assert (row["opened"], row["used"]) == (4, None)
    assert world.found(Kind.WIDER_THAN_USED) == {}


def test_tokens_wider_than_used_are_one_finding_for_client_agent_and_system(world: World) -> None:
    world.call("now")
    for _ in range(3):
        world.issue()
    reason = "Its tokens are wider than used: 1 of 4 tools in 90 days."
    assert world.found(Kind.WIDER_THAN_USED) == {
        "wider_than_used": (
            f"{world.company.bot.name}: {world.company.system.name}",
            reason,
            "/agents/research-bot/",
            "clock",
        )
    }
    for tool in TOOLS[1:]:
        world.call(tool)
    assert world.found(Kind.WIDER_THAN_USED) == {}


def test_groups_are_counted_anew_and_those_without_tokens_go(world: World) -> None:
    assert [groups.count(), groups.count(), TokenGroup.objects.count()] == [1, 1, 1]
    week = timedelta(days=7)
    IssuedToken.objects.update(issued_at=world.token.issued_at - week, expires_at=world.token.expires_at - week)
    assert (groups.count(), TokenGroup.objects.count()) == (0, 0)


def test_young_access_is_no_finding_for_not_being_used(world: World) -> None:
    Grant.objects.filter(pk=world.grant.pk).update(starts_at=clock.now() - timedelta(days=6))
    assert world.found(Kind.WIDER_THAN_USED) == {}


def test_tokens_that_open_privileged_tools_to_any_holder_are_a_finding_and_bound_ones_are_not(world: World) -> None:
    (_, reason, address, _) = world.found(Kind.UNBOUND)["unbound"]
    assert reason == "1 of its tokens is bound to no key: any holder can call high-risk tools (2)."
    assert address == "/agents/research-bot/clients/desk/"
    IssuedToken.objects.filter(pk=world.token.pk).update(jkt="a" * 43)
    assert world.found(Kind.UNBOUND) == {}
    assert [row["binding"] for row in rows(world, binding="dpop")] == ["dpop"]
    assert rows(world, binding="bearer") == []


def test_tokens_longer_than_the_system_allows_now_are_a_finding_while_they_live(world: World) -> None:
    assert world.found(Kind.OVER_POLICY) == {}
    type(world.company.system).objects.filter(pk=world.company.system.pk).update(token_seconds=60)
    (_, reason, address, _) = world.found(Kind.OVER_POLICY)["over_policy"]
    assert reason == "1 of its tokens lives longer than the system allows now."
    assert shown(visits.as_(world.company.ana).get(address, secure=True))[0].token == world.token
    IssuedToken.objects.filter(pk=world.token.pk).update(revoked_at=clock.now(), revoke_reason="too long")
    assert world.found(Kind.OVER_POLICY) == {}


def test_a_client_that_sends_a_secret_is_one_finding_however_many_systems_it_reaches(world: World) -> None:
    make.rewrite(world.client, auth="client_secret_basic", secret_sha256="0" * 64)
    other = make.system("maps")
    world.issue(system=other, scope="")
    assert groups.count() == 2
    found = [each for each in queries.findings(caller.of(world.company.ana)) if each.kind == Kind.STATIC_SECRET]
    assert [(each.client, each.system, each.tokens) for each in found] == [("desk", "", 2)]


def test_a_session_whose_person_should_have_signed_in_again_is_a_finding(world: World, settings: Settings) -> None:
    assert world.found(Kind.NO_REAUTHENTICATION) == {}
    settings.SIGN_IN_MAX_AGE = timedelta(hours=1)
    assert "1 session signed in longer ago" in world.found(Kind.NO_REAUTHENTICATION)["no_reauthentication"][1]
    settings.SIGN_IN_MAX_AGE = timedelta(hours=12)
    Session.objects.filter(pk=world.session.pk).update(auth_time=None)
    assert Kind.NO_REAUTHENTICATION in world.found(Kind.NO_REAUTHENTICATION), "an unknown age is no young one"
    Session.objects.filter(pk=world.session.pk).update(ended_at=clock.now(), end_reason="done")
    assert world.found(Kind.NO_REAUTHENTICATION) == {}


@pytest.mark.parametrize(("auth", "young", "old"), [("private_key_jwt", 14, 16), ("none", 0.4, 0.6)])
def test_a_sign_in_that_lasts_is_a_finding_from_an_age_that_its_client_sets(
    world: World, auth: str, young: float, old: float
) -> None:
    family = make.token_family(world.session, world.company.system)
    if auth == "none":
        make.rewrite(world.client, auth="none")
    now = clock.now()
    for days, found in ((young, 0), (old, 1)):
        TokenFamily.objects.filter(pk=family.pk).update(
            started_at=now - timedelta(days=days), last_used_at=now, expires_at=now + timedelta(days=1)
        )
        assert len(world.found(Kind.FAMILY_TOO_OLD)) == found, days
    world.issue(family=family.pk)
    (row,) = rows(world, family=str(family.pk))
    assert row["family_started_at"] is not None


def test_the_last_call_with_a_token_is_read_from_the_record(world: World) -> None:
    from audit import context, log  # noqa: PLC0415
    from audit.actions import Action  # noqa: PLC0415

    by = context.Principal("agent", "research-bot")
    log.record(Action.CALL_ALLOWED, about=[f"token:{world.token.jti}", "tool:clock/now"], by=by)
    (row,) = rows(world)
    assert row["last_call_at"] is not None


@pytest.mark.parametrize(
    ("filters", "count"),
    [
        ({"q": "research"}, 1),
        ({"q": "nothing"}, 0),
        ({"state": "live"}, 1),
        ({"state": "ended"}, 0),
        ({"person": "alice"}, 1),
        ({"person": "bob"}, 0),
        ({"system": "clock", "client": "desk", "kind": "access_token", "method": "private_key_jwt"}, 1),
        ({"kind": "id_jag"}, 0),
        ({"method": "none"}, 0),
    ],
)
def test_filters_narrow_the_list_and_the_page_alike(world: World, filters: dict[str, str], count: int) -> None:
    assert len(rows(world, **filters)) == count
    page = visits.as_(world.company.ana).get(PAGE, filters, secure=True)
    assert len(page.context["list"].rows) == count


def test_old_tokens_are_not_shown_and_an_identifier_finds_one(world: World) -> None:
    old = clock.now() - timedelta(days=8)
    world.issue(issued_at=old, expires_at=old + timedelta(seconds=300))
    assert [row["jti"] for row in rows(world)] == [str(world.token.jti)]
    assert [row["jti"] for row in rows(world, q=str(world.token.jti))] == [str(world.token.jti)]
    assert rows(world, q=str(uuid.uuid4())) == []


def test_people_see_the_tokens_of_what_is_theirs(world: World) -> None:
    company = world.company
    seen = {
        each.login: len(client.of(each).get(URL).json()["results"])
        for each in (company.ana, company.sofia, company.otto, company.sam, company.alice, company.bob, company.mallory)
    }
    assert seen == {"ana": 1, "sofia": 1, "otto": 1, "sam": 1, "alice": 1, "bob": 0, "mallory": 0}
    world.call("now")
    groups.count()
    kinds = {each.kind for each in queries.findings(caller.of(company.mallory))}
    assert kinds == set()
    assert Kind.WIDER_THAN_USED in {each.kind for each in queries.findings(caller.of(company.sofia))}
    assert client.of(None).get(URL).status_code == 401


def test_the_list_pages_sorts_and_shows_what_is_asked_for(world: World) -> None:
    lives = [30, 60, 90, 120]
    for seconds in lives:
        world.issue(expires_at=clock.now() + timedelta(seconds=seconds))
    browser = visits.as_(world.company.ana)
    longest = browser.get(PAGE, {"view": "longest"}, secure=True)
    assert [round(row.lifetime.total_seconds()) for row in shown(longest)] == [210, 130, 100, 70, 40]
    shortest = browser.get(PAGE, {"sort": "life", "columns": "jti,life"}, secure=True)
    assert [head.column.name for head in shortest.context["list"].heads] == ["jti", "life"]
    assert [round(row.lifetime.total_seconds()) for row in shown(shortest)] == [40, 70, 100, 130, 210]
    for bad in ({"sort": "scope"}, {"columns": "secret"}, {"view": "none"}, {"export": "xlsx"}):
        answer = browser.get(PAGE, bad, secure=True)
        assert (answer.status_code, b"list_malformed" in answer.content) == (400, True), bad
    seen, cursor = list[str](), ""
    while cursor is not None:
        page = client.of(world.company.ana).get(URL, {"limit": "2", **({"cursor": cursor} if cursor else {})}).json()
        seen += [row["jti"] for row in page["results"]]
        cursor = page["next"]
    assert (len(seen), len(set(seen))) == (5, 5)


def test_the_same_rows_leave_as_csv_and_as_lines_of_json(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(export, "_PART", 2)
    world.company.bot.__class__.objects.filter(pk=world.company.bot.pk).update(name="=1+1")
    for _ in range(4):
        world.issue()
    browser, columns = visits.as_(world.company.ana), "agent,jti,life,opened,used,issued"
    lines = _body(browser.get(PAGE, {"export": "jsonl", "columns": columns}, secure=True)).splitlines()
    table = list(
        csv.DictReader(io.StringIO(_body(browser.get(PAGE, {"export": "csv", "columns": columns}, secure=True))))
    )
    read = [json.loads(line) for line in lines]
    assert len(read) == len(table) == len({row["jti"] for row in read}) == 5
    assert [*table[0]] == columns.split(",")
    assert {(row["agent"], row["life"], row["opened"]) for row in read} == {("research-bot", 210, 4)}
    assert [row["jti"] for row in table] == [row["jti"] for row in read]
    nothing = visits.as_(world.company.mallory).get(PAGE, {"export": "jsonl"}, secure=True)
    assert _body(nothing) == "", "who sees no token exports none"


def test_a_page_takes_the_same_statements_however_long_it_is(
    world: World, django_assert_max_num_queries: DjangoAssertNumQueries
) -> None:
    family = make.token_family(world.session, world.company.system)
    for _ in range(20):
        world.issue(family=family.pk)
    now, ana = clock.now(), caller.of(world.company.ana)
    with django_assert_max_num_queries(9):
        page = tokens.described(list(tokens.rows(ana, now)), now)
    assert len(page) == 21


def test_the_page_of_findings_leads_to_the_tokens_and_draws_how_long_ago_people_signed_in(world: World) -> None:
    world.call("now")
    groups.count()
    text = visits.text(visits.as_(world.company.ana).get("/token-health/", secure=True))
    assert "Its tokens are wider than used: 1 of 4 tools in 90 days." in text
    assert f'href="{PAGE}"' in text
    assert "Sign-in age" in text
    listed = visits.text(visits.as_(world.company.ana).get(PAGE, secure=True))
    assert "4 of 4" in listed
    assert "1 of 4" in listed
    assert "No tokens yet." in visits.text(visits.as_(world.company.mallory).get(PAGE, secure=True))


def shown(page: Any) -> list[Any]:  # noqa: ANN401 - an answer of Django's test client
    return [row.row for row in page.context["list"].rows]


def _body(answer: Any) -> str:  # noqa: ANN401 - an answer of Django's test client
    return b"".join(answer.streaming_content).decode()
