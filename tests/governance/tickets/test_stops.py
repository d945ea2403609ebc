"""Each path that suspends or revokes takes a ticket as the settings say: API, console, back office, one and several.

The paths are found in the matrix and in the addresses, so that a new one fails here until it takes a ticket.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import timedelta
from functools import partial
from typing import Any, Final

import pytest
from django.db import transaction
from django.urls import reverse
from rest_framework.test import APIClient

from audit import clock
from audit.export import timeline
from audit.models import Event
from entitlements.api.actions import Action
from entitlements.api.bulk import Bulk
from entitlements.clients import clients
from entitlements.clients.models import Client
from entitlements.connections import connections
from entitlements.people.models import Person, Role
from entitlements.permissions.matrix import REVOKE
from entitlements.revocation.api import KINDS
from entitlements.tokens.models import IssuedToken
from governance.console import matrix, matrix_rows
from governance.reviews.pack_tables import period
from governance.tickets import tickets
from tests import make, shared
from tests.architecture.test_actions import declared, views
from tests.entitlements.api import client
from tests.governance.back_office import desk
from tests.governance.console import addresses, visits

pytestmark = pytest.mark.django_db
PATTERNS: Final = [{"name": "Jira", "expression": r"SEC-\d+", "link": "https://jira.example.com/browse/{ticket}"}]
NO_STOPS: Final = {
    "revocations": "it asks for the ticket with its receipt (test_tickets)",
    "drills": "it stops nothing",
    "revocation-prove": "it stops nothing",
    "grant-narrow": "it takes away a part, and the access goes on",
}
"""Addresses with the scope of a stop whose action is none, and why."""
STOPPING: Final = {key for key, row in matrix_rows.API.items() if row.scope == REVOKE and key[0] not in NO_STOPS} | {
    ("agent-retire", "POST"),
    ("agents-retire", "POST"),
}
API: Final = {name: view.view_class for name, view in views() if (name, "POST") in STOPPING}


@dataclass(frozen=True)
class World:
    """The world of all addresses, a person with every admin role, and a row for each address that stops one."""

    base: addresses.World
    everybody: Person
    program: APIClient
    rows: Mapping[str, Any]


def _made() -> World:
    base = addresses.world()
    company, session, times = base.company, base.session, {"issued_at": clock.now(), "expires_at": clock.now()}
    times["expires_at"] += timedelta(hours=1)
    issued = IssuedToken.objects.create(
        kind="access_token", system=company.system, client=base.client, agent=company.bot, **times
    )
    personal = make.agent("alices-own", sponsor=company.alice)
    chat = make.personal_client("chat")
    with transaction.atomic():
        connection = connections.begin(chat, company.alice, personal, is_new=True, by=company.alice.principal)
    clients.rotate_secret(base.client, keep_previous=True, reason="Old.", by=company.sofia.principal)
    rows = {
        "agent": company.bot,
        "client": Client.objects.get(pk=base.client.pk),
        "connected_account": base.samples["connected-accounts/pk"],
        "connection": connection,
        "connector": base.samples["systems/connector"],
        "delegation": base.samples["delegations/pk"],
        "grant": base.grant,
        "person": company.bob,
        "session": session,
        "system": company.system,
        "token": issued,
        "token_family": make.token_family(session, company.system),
        "tool": company.use.tools.get(name="now"),
        "workload_rule": base.samples["workload-rules/pk"],
    }
    everybody = make.person("everybody", roles=list(Role))
    return World(base, everybody, client.of(everybody), rows)


made_world, world = shared.world(_made)


def asked_for(need: str) -> None:
    admin = make.person("tara", roles=["admin"])
    tickets.change(PATTERNS, {"revocation": need}, by=admin, reason="ITSM.")


def key_of(action: Action, row: Any) -> list[Any]:  # noqa: ANN401 - a row, or its key
    """Return the parts of an address, or the names of an item, that name a row."""
    found = row
    if not hasattr(row, "pk"):
        return [row]
    parts = []
    for lookup in action.subject.lookup:
        found = row
        for step in lookup.split("__"):
            found = getattr(found, step)
        parts.append(found)
    return parts


def post(world: World, name: str, **values: str) -> tuple[int, str]:
    """Stop over the API what an address names; return the status and the code, of an item where it takes several."""
    view, browser = API[name], world.program
    action: Action = view.action
    key = key_of(action, world.rows[action.stops])
    body: dict[str, Any] = {"reason": "Odd.", **values}
    if not issubclass(view, Bulk):
        answer = browser.post(reverse(name, args=key), body, format="json")
        return answer.status_code, answer.json().get("code") or ""
    item = dict(zip(view.names, map(str, key), strict=True))
    (result,) = browser.post(reverse(name), {**body, "items": [item]}, format="json").json()["results"]
    return result["status"], result["code"] or ""


def undone[T](work: Callable[[], T]) -> T:
    """Do something, and undo it."""
    around = transaction.atomic()
    around._from_testcase = True  # type: ignore[attr-defined] # a refusal is recorded durably within
    with around:
        done = work()
        transaction.set_rollback(True)
    return done


def found() -> tuple[set[str], set[str]]:
    """Return the tickets in the detail of what the ticket finds, and those of it that the evidence names."""
    events = period.named_tickets(Event.objects.filter(links__contains=["ticket:SEC-12"]))
    listed = {row["ticket"] for row in period.tickets(events)}
    return {event.detail["ticket"] for event in timeline.about("ticket:SEC-12")}, listed


def _kept(world: World, name: str) -> tuple[tuple[int, str], set[str], set[str]]:
    return post(world, name, ticket=" SEC-12 "), *found()


def test_each_action_that_stops_something_takes_a_ticket() -> None:
    actions = {key: action for key, (_name, action) in declared().items()}
    wrong = []
    for key in STOPPING:
        action = actions.get(key) or API[key[0]].action
        if not action.stops or action.input is None or "ticket" not in action.input().fields:
            wrong.append(key[0])
        if "ticket" not in API[key[0]].asked().fields:
            wrong.append(f"{key[0]}: the body")
    assert wrong == []
    assert {key for key, action in actions.items() if action.stops} <= STOPPING
    assert KINDS.keys() - {"sign_ins", "person_agents"} <= {action.stops for action in actions.values()}


def test_over_the_api_a_required_ticket_is_asked_for_checked_kept_and_in_the_evidence(world: World) -> None:
    asked_for("required")
    assert API.keys() == {name for name, _method in STOPPING}
    wrong = []
    for name in API:
        if (missing := undone(partial(post, world, name))) != (422, "ticket_missing"):
            wrong.append(f"{name}: {missing}")
        if (foreign := undone(partial(post, world, name, ticket="T 7"))) != (422, "ticket_not_recognised"):
            wrong.append(f"{name}: {foreign}")
        if (made := undone(partial(_kept, world, name))) != ((200, ""), {"SEC-12"}, {"SEC-12"}):
            wrong.append(f"{name}: {made}")
    assert wrong == []


def forms(world: World) -> dict[str, list[tuple[str, dict[str, Any]]]]:
    """Return, for each page of the console that stops something, its address and what each of its buttons sends."""
    company, rows, base = world.base.company, world.rows, world.base
    tool, reason = rows["tool"], {"reason": "Odd."}
    named = {"system": company.system.slug, "tool": tool.name, "sha256": tool.seen.sha256, **reason}
    buttons = [{**named, "verb": verb} for verb in ("keep", "quarantine")]
    triage = reverse("tool-triage", args=[company.system.slug])
    several = [
        ("grant", rows["grant"].pk, "pause"),
        ("grant", rows["grant"].pk, "remove"),
        ("agent", company.bot.slug, "stop"),
        ("session", rows["session"].pk, "end"),
    ]
    return {
        "agent-delegate-withdraw": [(reverse("agent-delegate-withdraw", args=[rows["delegation"]]), reason)],
        "account-disconnect": [(reverse("account-disconnect", args=[rows["connected_account"]]), reason)],
        "system-connector-revoke": [
            (reverse("system-connector-revoke", args=[company.system.slug, rows["connector"]]), reason)
        ],
        "agent-needed": [(reverse("agent-needed", args=[company.bot.slug]), {**reason, "retire": "yes"})],
        "client-page": [(base.address(addresses.own()["client-page"]), {**reason, "verb": "revoke-rotation"})],
        "workload-rule-end-page": [(reverse("workload-rule-end-page", args=[rows["workload_rule"]]), reason)],
        "end-session": [(reverse("end-session", args=[rows["session"].pk]), {})],
        "grant-pause": [(reverse("grant-pause", args=[rows["grant"].pk]), reason)],
        "tool-triage": [(triage, button) for button in buttons],
        "tool-changes": [(reverse("tool-changes"), button) for button in buttons],
        "tools-stop": [(reverse("tools-stop", args=[company.system.slug]), {**reason, "tool": tool.name})],
        "tool-page": [(reverse("tool-page", args=[company.system.slug, tool.name]), {**reason, "verb": "quarantine"})],
        "stop-several": [
            (reverse("stop-several", args=[kind]), {**reason, "key": str(key), "act": act})
            for kind, key, act in several
        ],
    }


type Pressed = tuple[list[str], set[str], set[str]]


def pressed(world: World, address: str, form: Mapping[str, Any]) -> Pressed:
    """Press a button, and undo it; return the codes of the refusals, and what kept the ticket."""

    def press() -> Pressed:
        before = len(visits.refusals())
        visits.as_(world.everybody).post(address, form)
        return [code for _who, code in visits.refusals()[before:]], *found()

    return undone(press)


def _wrong(buttons: Iterator[tuple[str, str, dict[str, Any]]], world: World) -> Iterator[str]:
    """Yield which buttons do not ask for a required ticket, take a wrong one, or do not keep a right one."""
    for name, address, form in buttons:
        if (missing := pressed(world, address, form)) != (["ticket_missing"], set(), set()):
            yield f"{name}: {missing}"
        if (foreign := pressed(world, address, {**form, "ticket": "T 7"})) != (["ticket_not_recognised"], set(), set()):
            yield f"{name}: {foreign}"
        if (made := pressed(world, address, {**form, "ticket": " SEC-12 "})) != ([], {"SEC-12"}, {"SEC-12"}):
            yield f"{name}: {made}"


def test_in_the_console_a_required_ticket_is_asked_for_checked_kept_and_in_the_evidence(world: World) -> None:
    asked_for("required")
    known = forms(world)
    assert known.keys() == {
        name for (name, method), page in matrix.PAGES.items() if method == "POST" and page.asks & STOPPING
    }
    buttons = ((name, address, form) for name, sent in known.items() for address, form in sent)
    assert list(_wrong(buttons, world)) == []


def test_in_the_back_office_a_required_ticket_is_asked_for_checked_kept_and_in_the_evidence(world: World) -> None:
    asked_for("required")
    stopping = {(kind, name): act for (kind, name), act in desk.ACTS.items() if act.action.stops}
    assert {act.action.address for act in stopping.values()} >= {"grant-revoke", "agent-suspend", "system-disable"}
    buttons = []
    for (kind, name), act in stopping.items():
        row = world.rows[act.action.stops]
        row.refresh_from_db()
        assert 'name="ticket"' in visits.text(
            visits.as_(world.everybody).get(desk.address(kind, name), {"key": row.pk})
        )
        buttons.append((f"{kind} {name}", desk.address(kind, name), desk.form(name, row)))
    assert list(_wrong(iter(buttons), world)) == []


def test_each_form_that_stops_something_has_the_field_where_the_settings_ask_for_it(world: World) -> None:
    base, company = world.base, world.base.company
    everybody = visits.as_(world.everybody)
    several = {"key": str(world.rows["grant"].pk)}
    shown: dict[str, Callable[[], Any]] = {
        "delegates": lambda: everybody.get(reverse("agent-page", args=[company.bot.slug])),
        "sessions": lambda: everybody.get(reverse("agent-page", args=[company.bot.slug]) + "?tab=tokens"),
        "client": lambda: everybody.get(base.address(addresses.own()["client-page"])),
        "grant": lambda: everybody.get(reverse("grant-page", args=[world.rows["grant"].pk])),
        "tool": lambda: everybody.get(reverse("tool-page", args=[company.system.slug, "now"])),
        "tools": lambda: everybody.get(reverse("system-page", args=[company.system.slug]) + "?tab=tools"),
        "several": lambda: everybody.post(reverse("stop-several", args=["grant"]), several),
    }
    assert [name for name, look in shown.items() if 'name="ticket"' in visits.text(look())] == []
    asked_for("optional")
    assert [name for name, look in shown.items() if 'name="ticket"' not in visits.text(look())] == []


def test_a_ticket_that_was_asked_for_and_not_given_stands_in_the_evidence_as_none(world: World) -> None:
    def listed() -> list[str]:
        post(world, "grant-suspend")
        rows = period.named_tickets(Event.objects.filter(action="grant.suspended"))
        return [row["ticket"] for row in period.tickets(rows)]

    assert undone(listed) == []
    asked_for("optional")
    assert undone(listed) == [""]


def test_several_rows_are_refused_before_any_is_stopped(world: World) -> None:
    asked_for("required")
    form = {"key": str(world.rows["grant"].pk), "act": "pause", "reason": "Odd."}
    answer = visits.as_(world.everybody).post(reverse("stop-several", args=["grant"]), form)
    assert answer.status_code == 422
    page = visits.text(answer)
    assert "ticket_missing" in page
    assert 'name="ticket"' in page
    assert ">Odd.</textarea>" in page


@pytest.mark.parametrize("name", ["session-end", "token-family-revoke"])
def test_a_person_ends_what_is_connected_as_themselves_without_a_ticket(world: World, name: str) -> None:
    asked_for("required")
    action: Action = API[name].action
    own, browser = world.rows[action.stops], client.of(world.base.company.alice)
    body = {"target": {"type": action.stops, "id": str(own.pk)}, "reason": "Not me.", "wait": False}
    assert undone(lambda: browser.post("/api/v1/revocations", body, format="json").status_code) == 201
    address = reverse(name, args=[own.pk])
    assert undone(lambda: browser.post(address, {"reason": "Not me."}, format="json").status_code) == 200
    wrong = {"reason": "Not me.", "ticket": "T 7"}
    assert browser.post(address, wrong, format="json").json()["code"] == "ticket_not_recognised"
