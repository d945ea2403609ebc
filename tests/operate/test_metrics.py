"""What the web process says of itself and of the installation, and to whom."""

from __future__ import annotations

import re
from datetime import timedelta

import psycopg
import pytest
from django.db import connections
from django.db.migrations.executor import MigrationExecutor
from django.test import Client

from audit import clock
from audit.context import SYSTEM
from audit.refusals import refusals
from entitlements.errors import NotFound
from entitlements.event_streams import receivers, streams
from entitlements.feed.models import GatewayNode
from governance import env
from governance.operations import health, metrics
from governance.worker import queues
from tests import databases, make
from tests.architecture import tree

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.loopback]
TOKEN = "a-token-for-prometheus"


@pytest.fixture(autouse=True)
def fresh(settings) -> None:  # type: ignore[no-untyped-def]  # noqa: ANN001
    """Forget what an earlier test found, and ask for the token."""
    settings.METRICS_TOKEN = env.Secret(TOKEN)
    settings.ALLOWED_HOSTS = ["testserver"]
    settings.DEMO = False
    health._seen.clear()
    metrics._known.clear()


def numbers() -> dict[str, float]:
    answer = Client().get("/metrics", secure=True, headers={"authorization": f"Bearer {TOKEN}"})
    assert answer.status_code == 200, answer.content
    lines = [line.rpartition(" ") for line in answer.content.decode().splitlines() if not line.startswith("#")]
    return {name: float(value) for name, _, value in lines}


def test_numbers_are_for_whoever_knows_the_token() -> None:
    assert Client().get("/metrics", secure=True).status_code == 401
    wrong = Client().get("/metrics", secure=True, headers={"authorization": "Bearer something-else"})
    assert wrong.status_code == 401


def test_without_a_token_there_are_no_numbers(settings) -> None:  # type: ignore[no-untyped-def]  # noqa: ANN001
    settings.METRICS_TOKEN = env.Secret("")
    answer = Client().get("/metrics", secure=True, headers={"authorization": "Bearer "})
    assert answer.status_code == 404


def test_events_are_counted_by_action_and_refusals_by_code() -> None:
    make.person("ana")
    refusals.record(NotFound(), by=SYSTEM)
    said = numbers()
    assert said['mandate_events_5m{action="person.registered",code=""}'] == 1
    assert said['mandate_events_5m{action="attempt.refused",code="not_found"}'] == 1


def _waits_for_a_receiver() -> None:
    given = {"audience": "https://partner.example", "push_host": "", "subject_format": "email"}
    receiver = receivers.register("partner", by=make.person(roles=["admin"]), reason="a sample", **given).receiver
    streams.create(receiver, streams.Terms())


def test_every_number_that_the_operators_page_names_is_told() -> None:
    page = (tree.ROOT / "docs/operate/monitoring.md").read_text().partition("Of one node")[0]
    named = set(re.findall(r"`(mandate_\w+)", page))
    make.grant()
    _waits_for_a_receiver()
    GatewayNode.objects.create(id="n1", started_at=clock.now(), polled_at=clock.now())
    with psycopg.connect(databases.addresses().owner) as owner:
        owner.execute("UPDATE entitlements_grant SET starts_at = now() - interval '1 day', expires_at = now()")
    assert named
    assert named == {name.partition("{")[0] for name in numbers()}


def test_commits_that_a_failover_would_lose_show_while_everything_serves(settings) -> None:  # type: ignore[no-untyped-def]  # noqa: ANN001
    assert numbers()["mandate_database_synchronous"] == 1
    settings.DATABASE_FAILOVER = "yes"
    assert numbers()["mandate_database_synchronous"] == 0


def test_what_waits_is_counted_and_has_an_age() -> None:
    make.grant()
    with psycopg.connect(databases.addresses().owner) as owner:
        owner.execute(
            "UPDATE entitlements_grant SET starts_at = now() - interval '1 day', expires_at = now() - interval '90 s'"
        )
    said = numbers()
    assert said["mandate_sealing_pending"] >= 1
    assert said["mandate_sealing_lag_seconds"] > 0
    assert 90 <= said['mandate_overdue_seconds{work="grant_expiry"}'] < 120
    assert said['mandate_invariant_violations{invariant="10"}'] == 1
    assert said['mandate_invariant_violations{invariant="5"}'] == 0


def test_the_queue_is_counted_and_its_absence_said(settings) -> None:  # type: ignore[no-untyped-def]  # noqa: ANN001
    said = numbers()
    assert said["mandate_queue_up"] == 1
    for queue in queues.ALL:
        assert said[f'mandate_queue_behind{{queue="{queue}"}}'] == 0
        assert f'mandate_queue_length{{queue="{queue}"}}' in said
    settings.REDIS_URL = env.Secret("redis://127.0.0.1:1/0")
    said = numbers()
    assert said["mandate_queue_up"] == 0
    assert not any(name.startswith("mandate_queue_behind") for name in said), "what is not known is not said"


def test_each_node_has_an_age_and_a_distance() -> None:
    make.grant()
    GatewayNode.objects.create(id="n1", started_at=clock.now(), polled_at=clock.now() - timedelta(seconds=9))
    said = numbers()
    assert 9 <= said['mandate_node_lease_age_seconds{node="n1"}'] < 30
    assert said['mandate_node_feed_lag{node="n1"}'] >= 1


def test_ready_means_that_nothing_is_missing() -> None:
    answer = Client().get("/readyz", secure=True)
    assert (answer.status_code, answer.json()) == (200, {"ready": True, "missing": []})


@pytest.mark.parametrize("host", ["10.244.1.7:8000", "[fd00::7]:8000", "mandate-web", ""])
def test_a_kubelet_and_prometheus_ask_by_the_address_of_a_pod(host: str, settings) -> None:  # type: ignore[no-untyped-def]  # noqa: ANN001
    settings.METRICS_TOKEN = env.Secret("a-token-for-prometheus")
    inside = Client(headers={"host": host, "authorization": "Bearer a-token-for-prometheus"})
    assert [inside.get(path).status_code for path in ("/readyz", "/metrics")] == [200, 200]
    assert inside.get("/login/").status_code == 400


def test_a_migration_that_is_not_applied_is_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(MigrationExecutor, "migration_plan", lambda *_: ["one"])
    answer = Client().get("/readyz", secure=True)
    assert (answer.status_code, answer.json()["missing"]) == (503, ["migrations"])


def test_another_key_encryption_key_is_missing(settings) -> None:  # type: ignore[no-untyped-def]  # noqa: ANN001
    from entitlements.keys import signing  # noqa: PLC0415

    signing.ensure("idp")
    settings.KEY_ENCRYPTION_KEY = env.Secret(b"another" + bytes(25))
    answer = Client().get("/readyz", secure=True)
    assert (answer.status_code, answer.json()["missing"]) == (503, ["keys"])


def test_a_database_that_is_away_is_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    connection = connections["default"]
    connection.close()
    monkeypatch.setitem(connection.settings_dict, "PORT", "1")
    answer = Client().get("/readyz", secure=True)
    assert (answer.status_code, answer.json()["missing"]) == (503, ["database"])
    connection.close()
