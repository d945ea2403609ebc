"""Webhooks to a real receiver: signed, with a link and nothing else, tried again, replayed, and ended by a 410."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
from collections.abc import Callable, Iterator
from datetime import datetime, timedelta

import pytest
from pytest_django.fixtures import Settings

from audit import clock
from audit.context import SYSTEM
from audit.models import Event
from entitlements.agents import agents
from entitlements.people.models import Role
from entitlements.secrets import seal
from entitlements.upstream import egress
from governance import tasks
from governance.mail import outbox
from governance.notices.listener import notify_endpoints
from governance.operations import key_rotation
from governance.webhooks import delivery, webhooks
from governance.webhooks.models import Webhook, WebhookMessage
from tests import make
from tests.entitlements.api import client
from tests.governance.console import visits
from tests.governance.notices.receivers import Receiver, receiver
from tests.operate.test_resealing import replace

pytestmark = [pytest.mark.django_db, pytest.mark.loopback]

type Clock = Callable[[datetime | timedelta], datetime]
WANTED = ["agent.suspended"]


@pytest.fixture
def there(settings: Settings) -> Iterator[Receiver]:
    settings.DEMO = True  # where a receiver on this machine is allowed
    with receiver() as running:
        yield running


def add(there: Receiver, form: str = "standard", slug: str = "ops") -> tuple[Webhook, str]:
    return webhooks.make(slug, url=there.url, form=form, events=WANTED, by=SYSTEM)


def stop_an_agent() -> Event:
    agent = make.agent("research-bot")
    agents.suspend(agent, by=SYSTEM, reason="key=hunter2 leaked")
    event = Event.objects.get(action="agent.suspended")
    notify_endpoints(event)
    notify_endpoints(event)  # read twice, told once
    return event


def is_signed(secret: str, headers: dict[str, str], body: bytes) -> bool:
    """Check as a receiver does (Standard Webhooks, "Verifying signatures")."""
    key = base64.b64decode(secret.removeprefix("whsec_"))
    signed = f"{headers['webhook-id']}.{headers['webhook-timestamp']}.".encode() + body
    wanted = "v1," + base64.b64encode(hmac.digest(key, signed, hashlib.sha256)).decode()
    return wanted in headers["webhook-signature"].split(" ")


def test_an_event_is_told_once_signed_and_by_a_link_alone(there: Receiver, settings: Settings) -> None:
    _, secret = add(there)
    event = stop_an_agent()
    tasks.post_webhooks()

    [(headers, body)] = there.taken
    assert is_signed(secret, headers, body)
    assert not is_signed(secret, headers, body + b" ")
    assert abs(int(headers["webhook-timestamp"]) - clock.now().timestamp()) < 60
    said = json.loads(body)
    assert [said["type"], said["data"]["id"]] == ["agent.suspended", str(event.uuid)]
    assert said["data"]["url"] == f"{settings.CONSOLE_URL}/agents/research-bot/"
    assert b"hunter2" not in body
    message = WebhookMessage.objects.get()
    assert [message.state, message.answer, headers["webhook-id"]] == ["sent", "204", str(message.pk)]


def test_after_a_rotation_both_secrets_sign_for_a_day(there: Receiver, at: Clock) -> None:
    at(timedelta())
    made, old = add(there)
    new = webhooks.rotate(made, by=SYSTEM)
    stop_an_agent()
    delivery.send_next()
    assert [is_signed(each, *there.taken[0]) for each in (old, new)] == [True, True]

    at(timedelta(hours=25))
    webhooks.queue_test(made, by=SYSTEM)
    delivery.send_next()
    assert [is_signed(each, *there.taken[1]) for each in (old, new)] == [False, True]


@pytest.mark.parametrize("answer", [500, 302, 404])
def test_what_is_not_taken_is_tried_later_then_given_up_and_replayed(there: Receiver, at: Clock, answer: int) -> None:
    at(timedelta())
    add(there)
    stop_an_agent()
    there.answer = answer
    for _ in range(outbox.MOST_ATTEMPTS):
        assert delivery.send_next()
        assert not delivery.send_next(), "it waits"
        at(WebhookMessage.objects.get().next_at)
    found = WebhookMessage.objects.get()
    assert [found.state, found.attempts, found.answer] == ["dead", 10, str(answer)]
    assert Event.objects.filter(action="delivery.given_up").count() == 1

    there.answer = 200
    delivery.replay(found.pk, by=SYSTEM)
    with pytest.raises(outbox.NotGivenUp):
        delivery.replay(found.pk, by=SYSTEM)
    assert delivery.send_next()
    ids = {headers["webhook-id"] for headers, _ in there.taken}
    assert [len(ids), WebhookMessage.objects.get().state] == [1, "sent"], "the same message each time"


def test_a_410_stops_the_endpoint_until_a_person_starts_it(there: Receiver) -> None:
    made, _ = add(there)
    stop_an_agent()
    waiting = webhooks.queue_test(made, by=SYSTEM)
    there.answer = 410
    tasks.post_webhooks()

    made.refresh_from_db()
    assert [len(there.taken), made.enabled] == [1, False]
    with pytest.raises(webhooks.WebhookStopped):
        webhooks.queue_test(made, by=SYSTEM)
    with pytest.raises(webhooks.WebhookStopped):
        delivery.replay(waiting.pk, by=SYSTEM)
    webhooks.start(made, by=SYSTEM, reason="It is back.")
    there.answer = 200
    delivery.replay(waiting.pk, by=SYSTEM)
    tasks.post_webhooks()
    assert len(there.taken) == 2


@pytest.mark.parametrize(("form", "part"), [("slack", "text"), ("teams", "attachments")])
def test_a_chat_gets_a_line_with_a_link(there: Receiver, settings: Settings, form: str, part: str) -> None:
    add(there, form)
    stop_an_agent()
    delivery.send_next()
    [(headers, body)] = there.taken
    assert f"{settings.CONSOLE_URL}/agents/research-bot/" in str(json.loads(body)[part])
    assert not any(name.startswith("webhook-") for name in headers)


@pytest.mark.parametrize(
    "url", ["http://example.com/x", "https://127.0.0.1/x", "https://10.0.0.1/x", "https://u:p@example.com/", "ftp://x/"]
)
def test_an_address_inside_or_without_tls_is_refused(url: str) -> None:
    with pytest.raises(egress.ForbiddenAddress):
        webhooks.make("ops", url=url, form="standard", events=WANTED, by=SYSTEM)


def test_address_and_secret_lie_sealed_and_are_sealed_anew(there: Receiver, settings: Settings) -> None:
    made, secret = add(there)
    webhooks.rotate(made, by=SYSTEM)
    everything = str([list(rows.values_list()) for rows in (Webhook.objects.all(), Event.objects.all())])
    assert "kept-to-itself" not in everything
    assert secret not in everything
    replace(settings)
    key_rotation.reseal(by=SYSTEM, reason="yearly")
    made.refresh_from_db()
    begin, kept = seal.beginning(), (made.sealed_url, made.sealed_secret, made.sealed_previous)
    assert all(bytes(each or b"").startswith(begin) for each in kept)
    stop_an_agent()
    delivery.send_next()
    assert is_signed(secret, *there.taken[0])


def test_only_an_administrator_adds_tests_rotates_and_stops_by_api(there: Receiver) -> None:
    ada, mallory = make.person("ada", roles=[Role.ADMIN]), make.analyst("mallory")
    body = {"slug": "ops", "url": there.url, "form": "standard", "events": WANTED}
    assert client.of(mallory).post("/api/v1/webhooks", body, format="json").status_code == 403
    made = client.proven(ada).post("/api/v1/webhooks", body, format="json")
    assert [made.status_code, made.json()["secret"][:6]] == [201, "whsec_"]
    assert client.proven(ada).post("/api/v1/webhooks", body, format="json").json()["code"] == "webhook_taken"
    unknown = {**body, "slug": "all", "events": ["call.allowed"]}
    assert client.proven(ada).post("/api/v1/webhooks", unknown, format="json").status_code == 400
    shown = client.of(ada).get("/api/v1/webhooks/ops")
    assert shown.json()["secret"] is None
    assert "kept-to-itself" not in shown.content.decode()

    why = {"reason": "Sees whether it works."}
    for what in ("test", "rotate", "stop", "start"):
        assert client.of(mallory).post(f"/api/v1/webhooks/ops/{what}", why, format="json").status_code == 403
    assert client.of(ada).post("/api/v1/webhooks/ops/test", why, format="json").json()["state"] == "waiting"
    there.answer = 410
    tasks.post_webhooks()
    [dead] = client.of(ada).get("/api/v1/webhook-messages?webhook=ops&state=dead").json()["results"]
    replayed = client.of(ada).post(f"/api/v1/webhook-messages/{dead['id']}/replay", why, format="json")
    assert replayed.json()["code"] == "webhook_stopped"
    assert client.proven(ada).post("/api/v1/webhooks/ops/start", why, format="json").json()["enabled"] is True
    assert (
        client.proven(ada).post("/api/v1/webhooks/ops/rotate", why, format="json").json()["secret"]
        != made.json()["secret"]
    )
    assert client.proven(ada).post("/api/v1/webhooks/ops/stop", why, format="json").json()["enabled"] is False


def test_an_administrator_who_proves_who_she_is_adds_one_on_the_page(there: Receiver) -> None:
    ada, address = make.person("ada", roles=[Role.ADMIN]), "/settings/notices/webhooks/"
    form = {"slug": "ops", "url": there.url, "form": "standard", "events": WANTED}
    assert visits.as_(ada, fresh=False).post(address, form).status_code in (302, 403)
    assert visits.as_(make.analyst()).post(address, form).status_code == 403
    inside = visits.as_(ada).post(address, {**form, "url": "https://10.0.0.1/x"})
    assert [inside.status_code, "forbidden_address" in visits.text(inside)] == [422, True]
    made = visits.as_(ada).post(address, form)
    assert ["whsec_" in visits.text(made), made["Cache-Control"]] == [True, "no-store"]

    visits.as_(ada).post(f"{address}ops/", {"verb": "test"})
    tasks.post_webhooks()
    shown = visits.text(visits.as_(ada).get(f"{address}ops/"))
    assert [len(there.taken), "Sent" in shown, "whsec_" in shown, "kept-to-itself" in shown] == [1, True, False, False]
    assert visits.as_(ada).post(f"{address}ops/", {"verb": "stop", "reason": " "}).status_code == 422
    visits.as_(ada).post(f"{address}ops/", {"verb": "stop", "reason": "Moved."})
    assert not Webhook.objects.get().enabled
