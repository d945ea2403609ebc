"""A fleet is made by statements of its own; what it leaves behind is what the verbs would have left."""

from __future__ import annotations

import json
import os
import re
from typing import Any
from urllib.parse import parse_qsl

import pytest
from django.db import connection
from django.db.models import F
from django.test import Client, RequestFactory
from django.test.utils import CaptureQueriesContext

from audit import chain, clock
from audit.context import SYSTEM
from audit.models import Event, Pending
from entitlements.agents import agents
from entitlements.agents.models import Agent
from entitlements.catalog import systems
from entitlements.catalog.models import Entitlement, Tool
from entitlements.grants import grants
from entitlements.grants.models import Grant, GrantSubject
from entitlements.people import people
from entitlements.people.models import Person
from governance.agents import summaries
from governance.blast_radius.models import AgentSummary
from governance.console.kit.lists import keyset
from governance.operations import invariants
from tests import make
from tests.benchmarks import inventory, lists

pytestmark = pytest.mark.django_db
AGENTS = 60
LATE = "12"
"""Nobody seals here, and the fleet's events are long ago."""


@pytest.fixture
def fleet() -> int:
    from scripts.demo.data import fleet  # noqa: PLC0415 - the product can be imported only now

    make.analyst("ana")
    make.person("sam")
    make.security("resa")
    systems.ensure_builtin()
    return fleet.fill(AGENTS)


def _said(action: str, link: str) -> dict[str, object]:
    """Return what the newest event of an action says about one thing, without what differs every time."""
    event = Event.objects.filter(action=action, links__contains=[link]).latest("at")
    return event.parsed


@pytest.mark.django_db(transaction=True)
def test_a_fleet_keeps_the_invariants_and_leaves_what_the_verbs_leave(fleet: int) -> None:
    assert Agent.objects.count() == AGENTS
    assert Grant.objects.count() == 10 * AGENTS
    assert Tool.objects.filter(state=Tool.State.QUARANTINED).exists()
    assert Pending.objects.count() == Event.objects.count() > fleet > 15 * AGENTS
    broken = [each for each in invariants.check() if each.count and each.invariant.id != LATE]
    assert broken == []

    for event in Event.objects.all():
        assert chain.canonical(json.loads(event.body)).decode() == event.body
        said = event.parsed
        assert (said["uuid"], said["action"], said["sequence"]) == (str(event.uuid), event.action, event.sequence)
        assert set(said["links"]) <= set(event.links)

    shared = Grant.objects.filter(agent__kind="shared", state="active", subjects__person__isnull=False)
    of_two = shared.filter(agent__sponsor__isnull=False, agent__owner__isnull=False)
    held = of_two.exclude(agent__sponsor=F("agent__owner")).first()
    assert held is not None
    person = GrantSubject.objects.get(grant=held).person
    assert person is not None
    assert held.subjects_digest == grants.subjects_digest([person], [])
    _same_form(held, person)


def _same_form(held: Grant, person: Person) -> None:
    """Give another agent the same by the verbs, and compare what the record says of both."""
    sponsor, owner = Person.objects.order_by("-pk")[:2]
    agent = agents.register("by-hand", name="x", kind="shared", sponsor=sponsor, owner=owner, purpose="x", by=SYSTEM)
    given = make.grant(agent, Entitlement.objects.get(pk=held.entitlement_id), people=[person])
    for action, ours, theirs in (
        ("grant.issued", f"grant:{held.pk}", f"grant:{given.pk}"),
        ("agent.registered", f"agent:{held.agent.slug}", "agent:by-hand"),
    ):
        one, other = _said(action, ours), _said(action, theirs)
        assert one.keys() == other.keys()
        for said in (one, other):
            assert isinstance(said["detail"], dict)
            assert isinstance(said["links"], list)
        assert one["detail"].keys() == other["detail"].keys()  # type: ignore[attr-defined]
        assert [link.partition(":")[0] for link in one["links"]] == [  # type: ignore[attr-defined]
            link.partition(":")[0]
            for link in other["links"]  # type: ignore[attr-defined]
        ]
    assert _said("grant.issued", f"grant:{held.pk}")["detail"]["lines"] == {  # type: ignore[index]
        line.tool.name: {} for line in held.lines.select_related("tool")
    }


def test_the_inventory_of_a_measured_fleet_is_what_the_worker_computes(fleet: int) -> None:  # noqa: ARG001
    inventory.fill()
    figures = ("blast_radius", "grants", "tools", "privileged", "people", "sod_violations", "changed_tools")
    names = ("agent_id", "old_secrets", "last_used_at", "reviewed_at", *figures)
    computed = summaries.computed(list(Agent.objects.values_list("pk", flat=True)), clock.now())
    expected = {tuple(getattr(each, name) for name in names) for each in computed}
    assert {*AgentSummary.objects.values_list(*names)} == expected
    assert len({each.blast_radius for each in computed}) > 3
    assert any(each.changed_tools for each in computed)


def test_no_page_and_no_list_counts_its_way_to_where_it_begins(fleet: int, client: Client) -> None:  # noqa: ARG001
    sees_all = Person.objects.get(login="ana")
    people.assign_role(sees_all, "auditor", by=SYSTEM, reason="reads the record as well")
    token = people.make_api_token(sees_all, "lists", by=SYSTEM)
    client.force_login(sees_all)
    asked = [*lists.PAGES, *(f"/api/v1/{each}" for each in lists.LISTS)]
    with CaptureQueriesContext(connection) as said:
        for address in asked:
            headers = {"authorization": f"Bearer {token}"} if address.startswith("/api/") else {}
            assert client.get(address, headers=headers).status_code == 200, address
    assert [query["sql"] for query in said if re.search(r" OFFSET (?!0\b)", query["sql"])] == []  # of 0: a fence
    assert len(said) < 30 * len(asked)


def test_a_page_goes_on_where_the_one_before_ended(fleet: int, client: Client) -> None:  # noqa: ARG001
    people.assign_role(Person.objects.get(login="ana"), "auditor", by=SYSTEM, reason="reads the record")
    for login, address in (
        ("ana", "/agents/"),
        ("ana", "/grants/"),
        ("fleet-person-000003", "/my-agents/"),
        ("ana", "/audit/?lane=admin&lane=policy"),
    ):
        client.force_login(Person.objects.get(login=login))
        first = _listed(client.get(address))
        after = dict(parse_qsl(address.partition("?")[2])) | {"cursor": first.next}
        shown = [_keys(first), _keys(_listed(client.get(address, after)))]
        assert all(shown)
        assert not set(shown[0]) & set(shown[1])


def _listed(answer: Any) -> Any:  # noqa: ANN401 - a page
    return answer.context["page"]


def _keys(page: Any) -> list[object]:  # noqa: ANN401 - as above
    return [row.pk for row in page.rows]


def test_rare_actions_are_paged_in_the_order_of_the_whole_record(fleet: int) -> None:  # noqa: ARG001
    actions = ["agent.suspended", "grant.revoked", "grant.expired", "request.cancelled", "producer.ended"]
    rows = Event.objects.filter(action__in=actions)
    for is_down in (True, False):
        order = keyset.Order("at", "sequence", is_down, ("producer",))
        whole = [event.pk for event in keyset.ordered(rows, order)[:1000]]
        found, cursor = list[object](), None
        while len(found) < len(whole):
            request = RequestFactory().get("/audit/", {"cursor": cursor} if cursor else {})
            page = keyset.page(request, rows, order, 20, each=keyset.Each("action", actions))
            found += [row.pk for row in page.rows]
            cursor = page.next
        assert found[: len(whole)] == whole
        assert len(found) > 20


@pytest.mark.django_db(transaction=True)
def test_what_is_taken_away_for_loading_is_put_back_as_it_was() -> None:
    from scripts.demo.data import bulk_load, fleet  # noqa: PLC0415 - the product can be imported only now

    def there() -> set[tuple[str, ...]]:
        with connection.cursor() as cursor:
            cursor.execute(
                "SELECT i.indrelid::regclass::text, pg_get_indexdef(i.indexrelid, 0, true), i.indisvalid::text"
                " FROM pg_index i JOIN pg_class c ON c.oid = i.indrelid WHERE c.relnamespace = 'public'::regnamespace"
            )
            return {(table, said.partition(" ON ")[2], valid) for table, said, valid in cursor.fetchall()}

    before = there()
    with bulk_load.loading(os.environ["MIGRATE_DATABASE_URL"], fleet.LOADED):
        pass
    assert there() == before
    assert any(table.startswith("events_") and "links" in said for table, said, _ in before)
