"""A role within a limit, by every door: nothing outside is listed, shown, found, exported or changed.

The company of the other tests is outside; beside it stand one system and one department that two roles are limited to.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, Final

import pytest
from allauth.mfa.models import Authenticator
from django.db import connection, transaction
from django.db.models import Model, QuerySet
from django.test.utils import CaptureQueriesContext

from audit import clock
from audit.context import SYSTEM
from audit.models import Event
from entitlements.access import caller as callers
from entitlements.access import role_reach, visibility
from entitlements.agents.models import Agent
from entitlements.catalog.models import Entitlement, System
from entitlements.clients.models import Client
from entitlements.grants import grants
from entitlements.grants.models import Grant
from entitlements.people import people
from entitlements.people.models import Person, Role, RoleAssignment
from entitlements.people.role_limits import EVERYTHING, RoleLimit
from entitlements.people_sources.models import SourcedPerson
from entitlements.revocation import revocation
from entitlements.revocation.models import Revocation
from entitlements.sessions.models import Session
from entitlements.tokens.models import IssuedToken
from governance.break_glass import break_glass
from governance.break_glass import queries as break_glass_queries
from governance.console import doors, matrix
from governance.coverage_map import coverage_map
from governance.eligibility import eligibility
from governance.exceptions import queries as exception_queries
from governance.requests import requests
from governance.reviews.items import visibility as items
from governance.reviews.items.models import ReviewItem
from tests import begun, make, shared
from tests.attacks import things
from tests.attacks.test_role_matrix import _rows
from tests.entitlements.api import client as api
from tests.governance.console import addresses, visits
from tests.governance.reviews import worlds
from tests.governance.scim.directory import ENTERPRISE, Directory

pytestmark = pytest.mark.django_db

OUTSIDE_NAMES: Final = ("research-bot", "sofia", "otto", "sam", "alice", "bob", "mona", "research-client", "clock:use")
EXAMPLES: Final = re.compile(r'placeholder="[^"]*"|Europe/Sofia')
"""What a page says of nothing that is there."""
INSIDE_LISTS: Final = {
    *("agents", "people", "systems", "tools", "entitlements", "grants", "sessions", "tokens", "clients"),
    *("token-families", "requests", "review-items", "audit-events", "coverage", "exceptions"),
}
NOT_LISTS: Final = frozenset({"api-schema", "api-docs"})


@dataclass(frozen=True)
class World:
    """What is outside, what is inside, and leah, whose roles of analyst and security are limited to the inside."""

    outside: addresses.World
    real: dict[str, object]
    leah: Person
    sponsor: Person
    member: Person
    bot: Agent
    system: System
    use: Entitlement
    grant: Grant
    session: Session
    token: IssuedToken
    client: Client
    item: ReviewItem

    @property
    def limit(self) -> RoleLimit:
        return RoleLimit(systems=frozenset({self.system.pk}), departments=frozenset({"Finance"}))

    @property
    def names(self) -> re.Pattern[str]:
        """Find what names something outside: by its slug, login or scope, or by its key."""
        named = map(str, (self.outside.grant.pk, self.outside.session.pk, *self.real.values()))
        keys = [key for key in named if re.fullmatch(r"[0-9a-f-]{36}", key)]
        return re.compile(rf"\b(?:{'|'.join([*OUTSIDE_NAMES, *keys])})\b|\"clock\"|/clock/", re.IGNORECASE)


def build() -> World:
    """Make it."""
    outside = addresses.world()
    real = things.real(outside)
    directory = Directory("hr")
    for person, department in ((outside.company.sofia, "Sales"), (outside.company.bob, "Sales")):
        _of(directory, person, department)
    sponsor, owner, member = (make.person(login) for login in ("fay", "finn", "mia"))
    for person in (sponsor, member):
        _of(directory, person, "Finance")
    bot, system = make.agent("finance-bot", sponsor=sponsor, owner=owner), make.system("ledger", owner=owner)
    use = make.entitlement(system, make.tool(system, "post"), scope="ledger:use")
    grant = make.grant(bot, use, people=[member])
    client, _ = make.client(bot, "finance-client", auth=Client.Auth.CLIENT_SECRET_BASIC)
    with transaction.atomic():
        session, _ = begun.begin(client, member, "b" * 64, auth_time=clock.now(), now=clock.now())
    token = IssuedToken.objects.create(
        kind="access_token",
        system=system,
        client=client,
        agent=bot,
        person=member,
        session=session,
        issued_at=clock.now(),
        expires_at=clock.now() + (outside.grant.expires_at - outside.grant.starts_at),
    )
    make.token_family(session, system)
    make.request(make.entitlement(system), bot, by=owner, people=[member])
    revocation.revoke(revocation.Target("token", str(token.pk)), by=SYSTEM, reason="a sample", wait=False)
    campaign = worlds.campaign(outside.company, slug="everywhere")
    leah, limit = make.person("leah"), RoleLimit(systems=frozenset({system.pk}), departments=frozenset({"Finance"}))
    for role in (Role.ANALYST, Role.SECURITY):
        people.assign_role(leah, role, limit=limit, by=SYSTEM, reason="for the ledger")
    item = worlds.item(campaign, bot)
    ask = eligibility.RequestTerms(timedelta(hours=1), "It burns.", (member,), tools=frozenset({"post"}))
    Authenticator.objects.create(user=outside.company.resa, type=Authenticator.Type.TOTP, data={})
    break_glass.give(bot, use, ask, by=outside.company.resa)
    return World(outside, real, leah, sponsor, member, bot, system, use, grant, session, token, client, item)


def _of(directory: Directory, person: Person, department: str) -> None:
    kept = directory.keeps(person)
    kept.said = {**kept.said, ENTERPRISE: {"department": department}}
    kept.save()


made_world, world = shared.world(build)


def _get_rows() -> Iterator[tuple[str, str]]:
    for address, name, method, *_ in _rows():
        if method == "get" and name not in NOT_LISTS:
            yield address, name


def test_no_address_of_the_api_shows_what_is_outside(world: World) -> None:
    limited, everything = api.proven(world.leah), api.proven(world.outside.company.ana)
    leaks, told, shown = [], set[str](), set[str]()
    for address, name in _get_rows():
        filled = address.format(**things.keys(address, world.real))
        answer = limited.get(filled)
        body = answer.getvalue().decode(errors="replace")
        assert answer.status_code in {200, 400, 403, 404, 422}, (name, answer.status_code)
        if answer.status_code == 200:
            leaks += [f"{name}: {found.group()} in {body[max(0, found.start() - 60) : found.end() + 20]}"
                      for found in [world.names.search(body)] if found]  # fmt: skip
            shown |= {name} if re.search(r"finance-bot|ledger|\bmia\b", body) else set()
        if name in INSIDE_LISTS and world.names.search(everything.get(filled).getvalue().decode(errors="replace")):
            told.add(name)
    assert not leaks, "\n".join(leaks)
    assert shown >= INSIDE_LISTS == told, (INSIDE_LISTS - shown, INSIDE_LISTS - told)


def test_a_review_with_items_on_both_sides_shows_those_inside(world: World) -> None:
    limited = api.proven(world.leah)
    answer = limited.get("/api/v1/review-items?campaign=everywhere")
    assert [each["id"] for each in answer.json()["results"]] == [str(world.item.pk)]
    for address in ("", "/measures", "/evidence", "/evidence.csv", "/shares", "/samples", "/questions", "/spot-checks"):
        answer = limited.get(f"/api/v1/campaigns/everywhere{address}")
        assert not world.names.search(answer.getvalue().decode(errors="replace")), address
    assert not world.names.search(visits.text(visits.as_(world.leah).get("/reviews/everywhere/")))


def test_no_page_of_the_console_shows_what_is_outside(world: World) -> None:
    browser, leaks, shown = visits.as_(world.leah), [], set[str]()
    for name, route in addresses.own().items():
        if (name, "GET") not in matrix.PAGES:
            continue
        answer = browser.get("/audit/" if name == "audit" else world.outside.address(route))
        body = b"".join(answer) if answer.streaming else answer.content
        text = EXAMPLES.sub("", body.decode(errors="replace"))
        assert answer.status_code in {200, 302, 403, 404}, (name, answer.status_code)
        if answer.status_code == 200:
            found = world.names.search(text)
            leaks += [f"{name}: {text[max(0, found.start() - 80) : found.end() + 40]}"] if found else []
            shown |= {name} if re.search(r"finance-bot|ledger|\bMia\b", text) else set()
    assert not leaks, "\n".join(leaks)
    lists = {"agent-list", "grant-list", "request-list", "system-list", "people-list", "audit", "coverage-map"}
    lists |= {"coverage-csv", "token-list", "catalogue", "exception-list"}
    assert shown >= lists, lists - shown


@pytest.mark.parametrize("text", ["research", "clock", "sofia", "now", "Fourth", "uuid"])
def test_the_search_finds_nothing_outside(world: World, text: str) -> None:
    stop, event = Revocation.objects.get(target_type="agent"), Event.objects.filter(action="grant.issued")[0]
    keys: list[object] = [world.outside.grant.pk, world.outside.session.pk, stop.pk, event.uuid]
    keys += [world.real["requests/asked"], world.real["tokens/key"]]
    browser = visits.as_(world.leah)
    for words in keys if text == "uuid" else [text]:
        answer = visits.text(browser.get("/search/", {"q": str(words)}, headers={"HX-Request": "true"}))
        assert "/agents/" not in answer
        assert not world.names.search(answer.replace(str(words), "")), words


def test_the_search_finds_what_is_inside(world: World) -> None:
    browser = visits.as_(world.leah)
    stop = Revocation.objects.get(target_type="token")
    for words, where in {
        "finance": "/agents/finance-bot/",
        "ledger": "/systems/ledger/",
        "mia": "/people/mia/",
    }.items():
        assert where in visits.text(browser.get("/search/", {"q": words}))
    for key, where in {world.grant.pk: "/grants/", stop.pk: "/stop/receipts/"}.items():
        assert f"{where}{key}/" in visits.text(browser.get("/search/", {"q": str(key)}))


def _state() -> list[object]:
    """Return every row of what an administrator changes, but for the log of refusals."""
    kinds: list[type[Model]] = [Agent, System, Entitlement, Grant, Session, IssuedToken, Client, Person, ReviewItem]
    kinds += [RoleAssignment, SourcedPerson]
    return [list(QuerySet(kind).order_by("pk").values()) for kind in kinds]


def test_nothing_outside_is_changed_by_the_api(world: World) -> None:
    limited, before, wrong = api.proven(world.leah), _state(), []
    for address, name, method, row, _ in _rows():
        if method == "get" or row.anybody:
            continue
        filled = address.format(**things.keys(address, world.real))
        answer = getattr(limited, method)(filled, {"reason": "x", "role": "analyst"}, headers={"If-Match": "*"})
        expected = {404, 403} if "{" in address else {403, 400}
        wrong += [f"{method} {name}: {answer.status_code}"] if answer.status_code not in expected else []
        if "{" in address and row.limitable and answer.status_code != 404:
            wrong.append(f"{method} {name}: {answer.status_code}, and not as if it were not there")
    assert not wrong, "\n".join(wrong)
    assert _state() == before


def test_nothing_outside_is_changed_by_the_console(world: World) -> None:
    browser, before = visits.as_(world.leah), _state()
    form = {"reason": "x", "verb": "approve", "typed": "everything", "name": "X", "to": "x", "do": "drop"}
    for name, route in addresses.own().items():
        page = matrix.PAGES.get((name, "POST"))
        if page is None or "<" not in route or page.row.public:
            continue
        answer = browser.post(world.outside.address(route), form)
        assert answer.status_code in {302, 400, 403, 404, 422} or page.row.anybody, (name, answer.status_code)
    assert _state() == before


def _many(world: World, *, act: str) -> tuple[str, dict[str, Any], list[str]]:
    outside = world.outside
    bots, grants = [outside.company.bot.slug, world.bot.slug], [str(outside.grant.pk), str(world.grant.pk)]
    tools = [{"system": outside.company.system.slug, "name": "now"}, {"system": "ledger", "name": "post"}]
    return {
        "suspend": ("bulk/agents/suspend", {"items": [{"slug": slug} for slug in bots]}, bots),
        "revoke": ("grants/revoke", {"items": [{"id": key} for key in grants]}, grants),
        "disable": ("tools/disable", {"items": tools}, ["now", "post"]),
    }[act]


@pytest.mark.parametrize("act", ["suspend", "revoke", "disable"])
def test_bulk_actions_act_on_what_is_inside_and_find_nothing_else(world: World, act: str) -> None:
    address, body, _keys = _many(world, act=act)
    answer = api.proven(world.leah).post(f"/api/v1/{address}", {**body, "reason": "x"})
    assert [each["status"] for each in answer.json()["results"]] == [404, 200]


def test_the_bulk_form_of_the_console_acts_on_what_is_inside(world: World) -> None:
    form = {"agent": [world.outside.company.bot.slug, world.bot.slug], "reason": "x", "verb": "suspend"}
    visits.as_(world.leah).post("/stop/several/", form)
    world.outside.company.bot.refresh_from_db()
    assert world.outside.company.bot.status == Agent.Status.ACTIVE


INSIDE: Final[dict[str, Callable[[World], tuple[str, dict[str, Any]]]]] = {
    "grant": lambda world: (f"grants/{world.grant.pk}/suspend", {}),
    "agent": lambda world: (f"agents/{world.bot.slug}/suspend", {}),
    "session": lambda world: (f"sessions/{world.session.pk}/end", {}),
    "system": lambda world: (f"systems/{world.system.slug}/disable", {}),
    "tool": lambda world: (f"tools/{world.system.slug}/post/quarantine", {}),
    "client": lambda world: (f"clients/{world.client.client_id}/disable", {}),
    "person": lambda world: (f"people/{world.member.login}/disable", {}),
    "revocation": lambda world: (
        "revocations",
        {"target": {"type": "grant", "id": str(world.grant.pk)}, "wait": False},
    ),
}


@pytest.mark.parametrize("kind", INSIDE)
def test_what_is_inside_can_be_acted_on(world: World, kind: str) -> None:
    address, body = INSIDE[kind](world)
    answer = api.proven(world.leah).post(f"/api/v1/{address}", {**body, "reason": "x"})
    assert answer.status_code in {200, 201}, answer.content


SEEN: Final[dict[str, Callable[[callers.Caller], Any]]] = {
    "agents": visibility.agents,
    "clients": visibility.clients,
    "grants": visibility.grants,
    "people": visibility.people,
    "requests": lambda caller: requests.visible_to(caller.person),  # type: ignore[arg-type]
    "review items": lambda caller: items.items_visible_to(caller.person),
    "campaigns": lambda caller: items.campaigns_visible_to(caller.person),
    "exceptions": exception_queries.visible_to,
    "break-glass": lambda caller: break_glass_queries.visible_to(caller.person),  # type: ignore[arg-type]
    "sessions": visibility.sessions,
    "systems": visibility.systems,
    "token families": visibility.token_families,
    "tokens": visibility.tokens,
    "tools": visibility.tools,
    "entitlements": visibility.entitlements,
    "revocations": visibility.revocations,
    "workflows": coverage_map.rows,
    "events": lambda caller: visibility.log_events(caller, Event.objects.all()),
}
OF_NO_SYSTEM: Final = {"agents", "clients", "people"}
OF_NO_DEPARTMENT: Final = {"systems", "tools", "entitlements"}


def _holding(limit: RoleLimit) -> callers.Caller:
    """Return an auditor within a limit, who is nothing to anybody."""
    person = make.person()
    people.assign_role(person, Role.SECURITY, limit=limit, by=SYSTEM, reason="for a test")
    return callers.of(person)


def test_each_kind_of_row_belongs_to_systems_or_to_departments(world: World) -> None:
    limits = (world.limit, RoleLimit(systems=world.limit.systems), RoleLimit(departments=world.limit.departments))
    callers_within = [_holding(limit) for limit in limits]
    for kind, rows in SEEN.items():
        both, of_system, of_department = (
            set(rows(caller).values_list("pk", flat=True)) - {caller.person and caller.person.pk}
            for caller in callers_within
        )
        assert both == of_system | of_department, f"a limit is the union of what it names: {kind}"
        assert bool(of_system) is (kind not in OF_NO_SYSTEM), kind
        assert bool(of_department) is (kind not in OF_NO_DEPARTMENT), kind


@pytest.mark.parametrize(
    "limit",
    [RoleLimit(), RoleLimit(systems=frozenset({-1})), RoleLimit(departments=frozenset({"Nowhere"}))],
    ids=["empty", "unknown system", "unknown department"],
)
def test_a_limit_that_names_nothing_known_shows_nothing(world: World, limit: RoleLimit) -> None:  # noqa: ARG001
    caller = _holding(limit)
    for kind, rows in SEEN.items():
        assert set(rows(caller).values_list("pk", flat=True)) <= {caller.person and caller.person.pk}, kind


def test_what_one_role_shows_another_with_a_limit_does_not_act_on(world: World) -> None:
    """Whoever sees everything as a responder restores, as an analyst within a limit, only what is inside."""
    person = make.person(roles=[Role.RESPONDER])
    people.assign_role(person, Role.ANALYST, limit=world.limit, by=SYSTEM, reason="for the ledger")
    asks, states = api.proven(person), []
    for grant in (world.grant, world.outside.grant):
        grants.suspend(grant.pk, by=SYSTEM, reason="x")
        states.append(asks.post(f"/api/v1/grants/{grant.pk}/restore", {"reason": "x"}).status_code)
    assert states == [200, 403]
    assert not doors.may(callers.of(person), "grant-restore", world.outside.grant)
    assert not doors.may(callers.of(person), "grant-restore", None)


def test_a_security_approver_is_asked_about_what_is_within_the_limit_and_nothing_else(world: World) -> None:
    company = world.outside.company
    by_department = _holding(RoleLimit(departments=frozenset({"Finance"}))).person
    use = make.entitlement(world.system, make.tool(world.system, risk="critical"))
    inside = make.request(use, world.bot, by=world.sponsor, people=[world.member])
    outside = company.ask("wipe", people=[company.mona])
    for asked, expected in ((inside, True), (outside, False)):
        waits = set(asked.approvals.filter(stage="security").values_list("waiting_for", flat=True))
        assert company.resa.pk in waits, [each.stage for each in asked.approvals.all()]
        assert ({world.leah.pk, by_department and by_department.pk} <= waits) is expected
        assert bool({world.leah.pk, by_department and by_department.pk} & waits) is expected


def test_what_declares_no_rule_is_within_no_limit(world: World) -> None:
    group = make.group(world.member)
    assert not role_reach.covers(world.limit, group)
    assert not role_reach.covers(world.limit, None)
    assert role_reach.covers(EVERYTHING, group)


def test_an_unlimited_role_asks_no_more_of_the_database_than_before(world: World) -> None:
    ana = world.outside.company.ana
    with CaptureQueriesContext(connection) as asked:
        caller = callers.of(ana)
        list(visibility.agents(caller)[:1])
        list(requests.visible_to(ana)[:1])
    assert len(asked) == 4  # the roles, the agents, the roles, the requests: as many as without limits
