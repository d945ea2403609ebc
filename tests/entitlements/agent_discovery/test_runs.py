"""Runs against stand-ins of Okta, Entra and Fleet: what becomes a finding, a link or gone; lost and late workers."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

import pytest
from joserfc import jwk
from pytest_django.fixtures import Settings

from audit import clock
from audit.context import SYSTEM
from audit.models import Event
from entitlements import tasks
from entitlements.agent_discovery import runs, sources
from entitlements.agent_discovery.lists import BadPrivateKey
from entitlements.agent_discovery.models import DiscoveredEntry, DiscoveryRun, DiscoverySource
from entitlements.agent_discovery.pull import Pull
from entitlements.keys import jws, public_keys
from entitlements.people.models import Person
from entitlements.unmanaged_agents.models import UnmanagedAgent, Workflow
from governance.clouds import TeamsCloud
from governance.coverage_map import coverage_map, reconciliation
from tests import make

from .recorded import (
    ENTRA_AGENTS,
    ENTRA_APPS,
    ENTRA_TOKEN,
    FLEET_REPORT,
    OKTA_AGENTS,
    OKTA_APPS,
    TENANT,
    entra_agent,
    entra_app,
    fleet_report,
    fleet_row,
    okta_agent,
    okta_app,
)
from .stand_in import Reply, StandIn

pytestmark = [pytest.mark.django_db, pytest.mark.loopback]

type Clock = Callable[[datetime | timedelta], datetime]
CANARY = "00canary-of-the-token"


def okta(there: StandIn, **fields: Any) -> DiscoverySource:  # noqa: ANN401 - as the action takes them
    values = {"slug": "okta", "name": "Okta", "address": there.url, "credential": CANARY, **fields}
    return sources.connect_okta(**values, by=SYSTEM)


def run(source: DiscoverySource) -> DiscoveryRun:
    """Run a source now, as the button does, and return what became of it."""
    asked = runs.ask(source, by=SYSTEM)
    runs.perform(asked.pk)
    asked.refresh_from_db()
    return asked


def says(there: StandIn, agents: list[Any], apps: list[Any]) -> None:
    there.answers(OKTA_AGENTS, Reply({"data": agents}))
    there.answers(OKTA_APPS, Reply(apps))


def codes(of: DiscoveryRun) -> list[tuple[str, str]]:
    return [(error["list"], error["code"]) for error in of.errors]


def test_what_okta_lists_becomes_a_finding_or_is_linked_by_its_client(there: StandIn) -> None:
    ours = make.agent("invoice-bot")
    make.client(ours, "0oa1")
    make.agent("support-agent")
    says(there, [okta_agent(1, "support-agent")], [okta_app(1), okta_app(2, "Unknown \u202ebot")])
    done = run(okta(there))
    assert [done.state, done.errors, done.pages, done.rows] == ["complete", [], 2, 3]
    assert done.counts == {
        "found": 3, "new": 3, "linked": 1, "unmanaged": 2, "vanished": 0, "repeated": 0, "skipped": 0
    }  # fmt: skip
    seen = {agent.client_id: agent for agent in UnmanagedAgent.objects.all()}
    assert [seen["0oa1"].agent, seen["0oa1"].because] == [ours, "client_id"]
    assert seen["wlp1"].state == "unmatched", "that a name is ours proves nothing"
    assert seen["0oa2"].name == "Unknown \\u{202e}bot"
    assert {agent.source for agent in seen.values()} == {"okta"}
    assert coverage_map.count()["agents"] == 2
    assert reconciliation.counts()[reconciliation.THERE] == 2
    assert {authorization for _method, _path, authorization in there.asked} == {f"SSWS {CANARY}"}


def test_a_run_has_one_event_with_its_counts_and_no_secret(there: StandIn) -> None:
    says(there, [okta_agent()], [])
    source = okta(there)
    run(source)
    run(source)
    finished = list(Event.objects.filter(action="discovery_run.finished").order_by("at", "sequence"))
    assert len(finished) == 2
    detail = json.loads(finished[0].body)["detail"]
    assert [detail["state"], detail["found"], detail["new"], detail["rows"]] == ["complete", 1, 1, 1]
    assert Event.objects.filter(action="discovery_run.requested").count() == 2
    assert not [event for event in Event.objects.all() if CANARY in event.body]
    assert CANARY.encode() not in bytes(DiscoverySource.objects.get().sealed)


def test_the_same_again_changes_nothing_but_when_it_was_seen(there: StandIn, at: Clock) -> None:
    at(timedelta())
    says(there, [okta_agent(), okta_agent()], [])
    source = okta(there)
    first = run(source)
    assert [first.counts["found"], first.counts["repeated"]] == [1, 1]
    before = UnmanagedAgent.objects.get()
    at(timedelta(hours=1))
    again = run(source)
    after = UnmanagedAgent.objects.get()
    assert [again.counts["new"], again.counts["vanished"], DiscoveredEntry.objects.count()] == [0, 0, 1]
    assert after.first_seen_at == before.first_seen_at
    assert after.last_seen_at - before.last_seen_at == timedelta(hours=1)


def test_what_a_complete_list_no_longer_has_is_marked_and_may_come_back(there: StandIn, at: Clock) -> None:
    at(timedelta())
    says(there, [okta_agent(1), okta_agent(2)], [])
    source = okta(there)
    run(source)
    at(timedelta(hours=1))
    says(there, [okta_agent(1)], [])
    assert run(source).counts["vanished"] == 1
    gone = DiscoveredEntry.objects.exclude(vanished_at=None).get()
    assert [gone.external_id, UnmanagedAgent.objects.count()] == ["wlp2", 2]
    at(timedelta(hours=2))
    says(there, [okta_agent(1), okta_agent(2)], [])
    run(source)
    assert not DiscoveredEntry.objects.exclude(vanished_at=None).exists()


@pytest.mark.parametrize(
    ("reply", "code"),
    [
        (Reply({}, status=403), "discovery_refused"),
        (Reply({}, status=404), "discovery_list_missing"),
        (Reply(raw=b"{"), "discovery_unreadable"),
        (Reply({}, status=503), "discovery_unreachable"),
    ],
)
def test_nothing_vanishes_from_a_list_that_was_not_read_to_its_end(
    there: StandIn, at: Clock, reply: Reply, code: str
) -> None:
    at(timedelta())
    says(there, [okta_agent()], [okta_app()])
    source = okta(there)
    run(source)
    at(timedelta(hours=1))
    there.answers(OKTA_AGENTS, reply)
    there.answers(OKTA_APPS, Reply([]))
    partial = run(source)
    assert [partial.state, codes(partial)] == ["partial", [("agents", code)]]
    vanished = dict(DiscoveredEntry.objects.values_list("listing", "vanished_at"))
    assert vanished["agents"] is None
    assert vanished["applications"] is not None, "the other list was read to its end"


def test_a_source_of_which_nothing_was_read_fails(there: StandIn) -> None:
    there.answers(OKTA_AGENTS, Reply({}, status=401))
    there.answers(OKTA_APPS, Reply({}, status=401))
    failed = run(okta(there))
    assert [failed.state, codes(failed)] == [
        "failed",
        [("agents", "discovery_refused"), ("applications", "discovery_refused")],
    ]
    assert Event.objects.get(action="discovery_run.finished").outcome == "failure"


def test_okta_is_opened_by_a_signed_assertion_of_a_service_app(there: StandIn) -> None:
    private = jwk.ECKey.generate_key("P-256", {"kid": "k1", "alg": "ES256"}, private=True)
    key = json.dumps(private.as_dict(private=True))
    there.answers("/oauth2/v1/token", Reply({"access_token": "short-lived", "token_type": "Bearer"}))
    there.answers(OKTA_APPS, Reply([okta_app()]))
    done = run(okta(there, client_id="0oaService", credential=key, reads="applications"))
    assert [done.state, done.counts["found"]] == ["complete", 1]
    form = there.forms[0]
    assert [form["grant_type"], form["scope"]] == ["client_credentials", "okta.apps.read"]
    assertion = jws.read(form["client_assertion"])
    claims = jws.check(assertion, public_keys.read(private.as_dict(private=False)))
    assert [claims["iss"], claims["sub"], claims["aud"]] == ["0oaService", "0oaService", f"{there.url}/oauth2/v1/token"]
    assert there.asked[1][2] == "Bearer short-lived"


@pytest.mark.parametrize("key", ["not-json-at-all", "{}", '{"kty": "oct", "k": "AAAA", "kid": "x"}', "[]"])
def test_what_is_no_private_key_is_refused(there: StandIn, key: str) -> None:
    with pytest.raises(BadPrivateKey):
        okta(there, client_id="0oaService", credential=key)


@pytest.fixture
def entra(there: StandIn, settings: Settings) -> DiscoverySource:
    settings.TEAMS = TeamsCloud(there.url, there.url, "", "")
    there.answers(ENTRA_TOKEN, Reply({"access_token": "graph", "token_type": "Bearer"}))
    return sources.connect_entra(
        slug="entra", name="Entra", tenant=UUID(TENANT), app_id=UUID(int=7), credential=CANARY, by=SYSTEM
    )


def test_entra_names_agents_with_their_sponsor_and_applications_page_by_page(
    there: StandIn, entra: DiscoverySource
) -> None:
    sofia = make.person("sofia")
    Person.objects.filter(pk=sofia.pk).update(email="Sofia@Example.org")
    skip = f"{ENTRA_APPS}&$skiptoken=x"
    there.answers(ENTRA_AGENTS, Reply({"value": [entra_agent(1, "HR agent", "sofia+agents@example.org")]}))
    there.answers(ENTRA_APPS, Reply({"value": [entra_app(1)], "@odata.nextLink": f"{there.url}{skip}"}))
    there.answers(skip, Reply({"value": [entra_app(2, "Mail", servicePrincipalType="ManagedIdentity")]}))
    done = run(entra)
    assert [done.state, done.counts["found"], done.counts["skipped"], done.pages] == ["complete", 2, 1, 3]
    owners = dict(DiscoveredEntry.objects.values_list("listing", "owner__login"))
    assert owners == {"agents": "sofia", "applications": None}
    assert there.forms[0]["client_secret"] == CANARY
    assert there.forms[0]["scope"] == f"{there.url}/.default"
    assert {each[2] for each in there.asked if each[0] == "GET"} == {"Bearer graph"}


def test_a_next_link_of_graph_to_another_host_is_not_followed(
    there: StandIn, elsewhere: StandIn, entra: DiscoverySource
) -> None:
    there.answers(ENTRA_AGENTS, Reply({"value": [entra_agent()], "@odata.nextLink": f"{elsewhere.url}/v1.0/x"}))
    there.answers(ENTRA_APPS, Reply({"value": []}))
    partial = run(entra)
    assert [partial.state, codes(partial)] == ["partial", [("agents", "discovery_next_elsewhere")]]
    assert [partial.counts["found"], elsewhere.asked] == [1, []]


def test_two_accounts_of_one_mailbox_are_no_hint(there: StandIn, entra: DiscoverySource) -> None:
    for login in ("sofia", "sofia-two"):
        Person.objects.filter(pk=make.person(login).pk).update(email="sofia@example.org")
    there.answers(ENTRA_AGENTS, Reply({"value": [entra_agent(1, "HR agent", "sofia@example.org")]}))
    there.answers(ENTRA_APPS, Reply({"value": []}))
    run(entra)
    assert DiscoveredEntry.objects.get().owner is None


def fleet(there: StandIn) -> DiscoverySource:
    return sources.connect_fleet(
        slug="fleet", name="Fleet", address=f"{there.url}/", report=31, credential=CANARY, by=SYSTEM
    )


def test_clients_on_devices_stand_on_the_coverage_map_at_the_systems_they_reach(there: StandIn) -> None:
    clock_system, git = make.system("clock"), make.system("git", upstream_url="https://git.example/mcp")
    rows = [
        fleet_row(1, server="clock", env="API_KEY=canary-in-a-column"),
        fleet_row(1, server="vcs", url="https://git.example/mcp"),
        fleet_row(2, server="unknown"),
    ]
    there.answers(FLEET_REPORT, Reply(fleet_report(*rows)))
    done = run(fleet(there))
    assert [done.state, done.counts["found"], done.counts["repeated"]] == ["complete", 2, 0]
    reached = set(Workflow.objects.values_list("seen__name", "system"))
    assert reached == {("Claude Desktop on mac-1", clock_system.pk), ("Claude Desktop on mac-1", git.pk)}
    assert [path for _method, path, _authorization in there.asked] == [FLEET_REPORT]


def test_a_clipped_report_is_partial(there: StandIn) -> None:
    there.answers(FLEET_REPORT, Reply(fleet_report(fleet_row(1), clipped=True)))
    partial = run(fleet(there))
    assert [partial.state, codes(partial)] == ["partial", [("devices", "discovery_clipped")]]
    assert partial.counts["found"] == 1


# Due, lost, twice


def test_a_source_is_read_when_it_is_due_and_not_before(
    there: StandIn, at: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    at(timedelta())
    monkeypatch.setattr(tasks.discover_agents, "delay", tasks.discover_agents)
    says(there, [], [])
    source = okta(there)
    tasks.queue_discovery_runs()
    assert source.runs.get().state == "complete"
    at(timedelta(hours=23))
    tasks.queue_discovery_runs()
    assert source.runs.count() == 1
    at(timedelta(hours=25))
    tasks.queue_discovery_runs()
    assert source.runs.count() == 2


def test_a_run_whose_message_was_lost_is_found_again(there: StandIn, at: Clock) -> None:
    at(timedelta())
    says(there, [], [])
    asked = runs.ask(okta(there), by=SYSTEM)
    assert runs.stalled() == []
    at(timedelta(minutes=3))
    assert runs.stalled() == [asked.pk]
    runs.perform(asked.pk)
    assert [runs.stalled(), DiscoveryRun.objects.get(pk=asked.pk).state] == [[], "complete"]


def test_a_message_that_comes_twice_runs_once(there: StandIn) -> None:
    says(there, [okta_agent()], [])
    asked = runs.ask(okta(there), by=SYSTEM)
    runs.perform(asked.pk)
    runs.perform(asked.pk)
    assert there.paths() == [OKTA_AGENTS, OKTA_APPS]
    assert Event.objects.filter(action="discovery_run.finished").count() == 1


def test_a_worker_that_another_one_replaced_writes_nothing(there: StandIn) -> None:
    says(there, [okta_agent()], [])
    asked = runs.ask(okta(there), by=SYSTEM)
    begun = runs._begin(asked.pk)
    assert begun is not None
    assert runs._begin(asked.pk) is None, "it is running"
    DiscoveryRun.objects.filter(pk=asked.pk).update(attempts=2)
    runs._progress(begun, 9, 9)
    pull = Pull(there.url, lambda _pages, _rows: None)
    runs._finish(begun, pull, [])
    found = DiscoveryRun.objects.get(pk=asked.pk)
    assert [found.state, found.pages] == ["running", 0]


def test_a_run_whose_worker_died_three_times_is_given_up(there: StandIn, at: Clock) -> None:
    at(timedelta())
    asked = runs.ask(okta(there), by=SYSTEM)
    for attempt in range(3):
        assert runs._begin(asked.pk) is not None
        at(timedelta(minutes=6 * (attempt + 1)))
    runs.perform(asked.pk)
    asked.refresh_from_db()
    assert [asked.state, codes(asked)] == ["failed", [("", "discovery_interrupted")]]
    assert runs.ask(asked.source, by=SYSTEM).pk != asked.pk


def test_one_run_at_a_time_and_none_of_a_disabled_source(there: StandIn) -> None:
    source = okta(there)
    runs.ask(source, by=SYSTEM)
    with pytest.raises(runs.RunOpen):
        runs.ask(source, by=SYSTEM)
    assert runs.claim_due() == []
    sources.disable(source, by=SYSTEM, reason="x")
    runs.perform(source.runs.get().pk)
    assert codes(source.runs.get()) == [("", "discovery_source_disabled")]
    with pytest.raises(runs.SourceDisabled):
        runs.ask(source, by=SYSTEM)
    assert there.asked == []


def test_the_hundred_latest_runs_are_kept(there: StandIn) -> None:
    says(there, [], [])
    source, now = okta(there), clock.now()
    DiscoveryRun.objects.bulk_create(
        DiscoveryRun(
            source=source,
            state="complete",
            asked_by="x",
            made_at=now - timedelta(n + 1),
            touched_at=now,
            finished_at=now,
        )
        for n in range(runs.KEPT)
    )
    run(source)
    assert source.runs.count() == runs.KEPT
