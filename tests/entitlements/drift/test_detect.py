"""Drift is found in the audit log once, by what is recorded there, and replayed without noting anything."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from pytest_django.plugin import DjangoDbBlocker

from audit import clock, stream
from audit.actions import Action
from audit.context import SYSTEM, Principal
from audit.models import Cursor
from entitlements.agents import versions
from entitlements.catalog.models import Tool
from entitlements.clients.models import Client
from entitlements.drift import detect, history, replay, rules
from entitlements.drift.models import AgentHour, SessionNetwork
from entitlements.people import people
from entitlements.risk.models import RiskSignal
from entitlements.sessions.models import Session
from tests import databases, make
from tests.audit.make import Archive
from tests.entitlements.drift import worlds as drift
from tests.entitlements.edge import worlds
from tests.entitlements.edge.worlds import World

SHA = {"a": "a" * 64, "b": "b" * 64}


@pytest.fixture(scope="module")
def archive(tmp_path_factory: pytest.TempPathFactory) -> Archive:
    return Archive(tmp_path_factory.mktemp("archive"), Ed25519PrivateKey.generate())


@pytest.fixture(scope="module")
def made(django_db_setup: None, django_db_blocker: DjangoDbBlocker, archive: Archive) -> Iterator[World]:  # noqa: ARG001
    """Make one world for all: what is sealed is committed, and emptying the database takes long."""
    with databases.emptied(django_db_blocker):
        world = worlds.world()
        make.tool(world.system, "now")
        writes = make.tool(world.system, "book")
        Tool.objects.filter(pk=writes.pk).update(action="write", data_class="confidential")
        drift.found(archive)
        yield world


@pytest.fixture
def world(made: World, archive: Archive) -> World:
    """Begin with nothing unread, and without a history."""
    drift.found(archive)
    AgentHour.objects.all().delete()
    SessionNetwork.objects.all().delete()
    return made


def begun(world: World) -> Session:
    world.access_token()
    return Session.objects.latest("started_at")


def last() -> RiskSignal:
    return RiskSignal.objects.latest("noted_at")


def test_a_session_that_comes_from_another_network_or_class_is_found_once_each(world: World, archive: Archive) -> None:
    session = begun(world)
    key, about = str(session.pk), f"session:{session.pk}"
    drift.call(world.agent, "time/now", session=key, source="127.0.0.9")
    assert drift.found(archive) == [], "the network in which it began"
    for source in ("8.8.8.8", "8.8.8.9", "9.9.9.9"):
        drift.call(world.agent, "time/now", session=key, source=source)
    assert drift.found(archive) == [("network_drift", about)]
    drift.call(world.agent, "time/now", session=key, source="127.0.7.1")
    assert drift.found(archive) == [("network_drift", about)], "another network of the class in which it began"
    drift.call(world.agent, "time/now", session=key, source="127.0.8.1")
    assert drift.found(archive) == []
    row = RiskSignal.objects.filter(session=session).earliest("noted_at")
    assert (row.outcome, row.source, row.level) == ("observed", "detector:network-drift@1", "low")
    assert row.reason == "The session began at a loopback address, and comes from a public one now."
    assert not SessionNetwork.objects.filter(network__contains="8.8").exists()


def test_a_client_with_another_key_is_found_and_one_that_rotates_itself_is_not(world: World, archive: Archive) -> None:
    client = f"client:{world.client.client_id}"
    drift.record(Action.CLIENT_CREDENTIAL_ROTATED, client, f"agent:{world.agent.slug}")
    drift.record(Action.CLIENT_DOCUMENT_APPLIED, client, changed=[])
    assert drift.found(archive) == []
    drift.record(Action.CLIENT_KEYS_REPLACED, client, f"agent:{world.agent.slug}")
    drift.record(Action.CLIENT_DOCUMENT_APPLIED, client, changed=["redirect_uris"])
    assert drift.found(archive) == [("client_drift", "agent:expense-bot")] * 2


def test_a_client_of_personal_agents_is_found_for_each_agent_that_acts_by_it(world: World, archive: Archive) -> None:
    session = begun(world)
    shared = make.personal_client("desk")
    Session.objects.filter(pk=session.pk).update(client=shared)
    drift.record(Action.CLIENT_DOCUMENT_APPLIED, "client:desk", changed=["keys"])
    assert drift.found(archive) == [("client_drift", "agent:expense-bot")]


def test_an_attested_version_drifts_and_a_reported_one_counts_as_not_seen(world: World, archive: Archive) -> None:
    def report(model: str, prompt: str, source: str = "ci", by: Principal = SYSTEM) -> None:
        versions.report(world.agent, versions.Version(model, SHA[prompt], source=source), by=by)

    report("m1", "a")
    report("m2", "b", "manual")
    report("m2", "b", by=world.agent.principal)
    report("m1", "a")
    assert drift.found(archive) == [], "the first is nothing to compare with, and reported ones are not seen"
    report("m1", "b")
    assert drift.found(archive) == [("version_drift", "agent:expense-bot")]
    assert last().reason == "The agent runs another prompt than the one attested before."


def test_a_person_who_moves_is_found_where_an_agent_acts_for_them(world: World, archive: Archive) -> None:
    first, second, stranger = make.person(), make.person(), make.person()
    for person in (world.alice, stranger):
        people.edit(person, by=SYSTEM, manager=first)
    assert drift.found(archive) == [], "the first manager is no move"
    for person in (world.alice, stranger):
        people.edit(person, by=SYSTEM, manager=second)
    assert drift.found(archive) == [("person_drift", "person:alice")]
    assert last().outcome == "observed"


@pytest.mark.usefixtures("world")
def test_a_tool_class_an_hour_and_a_volume_leave_the_history_of_an_agent(archive: Archive) -> None:
    bot, owl, new = make.agent("day-bot"), make.agent("owl-bot"), make.agent("new-bot")
    drift.past(bot, days=27)
    drift.past(owl, days=27, at=(clock.now().hour + 12) % 24)
    drift.call(bot, "time/now", times=30)
    assert drift.found(archive) == [], "as ever"
    drift.call(bot, "time/book")
    drift.call(new, "time/book", times=60)
    assert drift.found(archive) == [("tool_class_drift", "agent:day-bot")], "a new agent has no history"
    drift.call(bot, "time/book", times=60)
    assert drift.found(archive) == [("volume_drift", "agent:day-bot")]
    drift.call(owl, "time/now")
    assert drift.found(archive) == [("hour_drift", "agent:owl-bot")]
    drift.call(owl, "time/now")
    assert drift.found(archive) == [], "once a day"


def test_a_replay_says_what_would_have_been_found_and_notes_nothing(world: World, archive: Archive) -> None:
    session = begun(world)
    drift.call(world.agent, "time/now", session=str(session.pk), source="8.8.8.8")
    people.edit(world.alice, by=SYSTEM, manager=make.person())
    people.edit(world.alice, by=SYSTEM, manager=make.person())
    bot = make.agent("loud-bot")
    drift.past(bot, days=27, calls=20)
    ago = clock.now() - timedelta(days=2)
    AgentHour.objects.filter(agent=bot, hour=drift.began(ago)).update(calls=400)
    drift.found(archive)
    noted = RiskSignal.objects.count()
    found = {each.name: replay.run(each, 7) for each in rules.DETECTORS}
    assert [found[name].findings for name in ("network-drift", "volume-drift")] == [1, 1]
    [volume] = found["volume-drift"].shown
    assert (volume.about, volume.at.date()) == ("agent:loud-bot", ago.date())
    assert found["person-drift"].shown[0].about == "person:alice"
    assert found["network-drift"].by_day == {clock.now().date(): 1}
    assert replay.run(rules.NAMED["volume-drift"], 1).findings == 0, "two days ago is not asked for"
    assert RiskSignal.objects.count() == noted


def test_what_is_read_late_is_history_and_no_signal(world: World, archive: Archive) -> None:
    moment = clock.now()
    people.edit(world.alice, by=SYSTEM, manager=make.person())
    people.edit(world.alice, by=SYSTEM, manager=make.person())
    archive.seal()
    clock.set_offset(clock.now() + timedelta(days=2))
    try:
        while detect.listen():
            pass
    finally:
        clock.forget()
    assert drift.found(archive) == []
    assert last().at < moment


@pytest.mark.usefixtures("world")
def test_a_new_reader_begins_with_the_window(archive: Archive) -> None:
    bot = make.agent("begun-bot")
    drift.call(bot, "time/now", times=3)
    archive.seal()
    Cursor.objects.filter(name=detect.CURSOR).delete()
    AgentHour.objects.all().delete()
    while detect.listen():
        pass
    assert AgentHour.objects.get(agent=bot).calls == 3
    assert Cursor.objects.get(name=detect.CURSOR).position == stream.end()


def test_what_no_detector_looks_at_any_more_is_forgotten(world: World) -> None:
    old = clock.now() - history.KEPT_FOR - timedelta(days=1)
    AgentHour.objects.create(agent=world.agent, hour=old, tool_class="read internal", calls=1)
    drift.past(world.agent, days=1)
    assert history.forget_old() == 1
    assert history.forget_old() == 0
    assert AgentHour.objects.count() == 1


def test_what_a_document_changes_of_its_client_is_named() -> None:
    from entitlements.clients import credentials  # noqa: PLC0415 - beside its only use
    from entitlements.clients.models import ClientCredential  # noqa: PLC0415 - as above

    one, other = {"kty": "EC", "x": "1"}, {"kty": "EC", "x": "2"}

    def changed(before: list[dict[str, str]], now: list[dict[str, str]], uris: str = "a") -> list[str]:
        held = Client(auth="private_key_jwt", jwks={"keys": before}, redirect_uris="a b")
        wanted = ClientCredential(auth="private_key_jwt", jwks={"keys": now}, redirect_uris=uris)
        return credentials.changed(held, wanted)

    assert changed([one], [one, other]) == [], "a key stays: the client rotates"
    assert changed([one], [other]) == ["keys"]
    assert changed([one], [one], "a c") == ["redirect_uris"]
    assert changed([one], [one], "b") == [], "an address less"
