"""ServiceNow and Jira open a record for an event: in the documented shape, signed in, and with no name or reason."""

from __future__ import annotations

import base64
import json
from collections.abc import Iterator
from typing import Any

import pytest
from django.db import IntegrityError, transaction
from pytest_django.fixtures import Settings

from audit.context import SYSTEM
from audit.models import Event
from entitlements.agents import agents
from entitlements.secrets import seal
from governance.notices.listener import notify_endpoints
from governance.operations import key_rotation
from governance.webhooks import delivery, trackers, webhooks
from governance.webhooks.models import Webhook, WebhookMessage
from governance.webhooks.trackers import Tracker
from tests import make
from tests.entitlements.api import client
from tests.governance.console import visits
from tests.governance.notices.receivers import Receiver, receiver
from tests.operate.test_resealing import replace

pytestmark = [pytest.mark.django_db, pytest.mark.loopback]

WANTED = ["agent.suspended"]
JIRA = Tracker("bot@example.org", "api:token-1", "SEC", "Task")
SERVICENOW = Tracker("mandate.bot", "pass word", "", "")
_INLINE = {"text"}


@pytest.fixture
def there(settings: Settings) -> Iterator[Receiver]:
    settings.DEMO = True  # where a receiver on this machine is allowed
    with receiver() as running:
        running.answer = 201  # as both trackers answer
        yield running


def add(there: Receiver, form: str, tracker: Tracker) -> Webhook:
    return webhooks.make("tracker", url=there.url, form=form, events=WANTED, by=SYSTEM, tracker=tracker)[0]


def told(there: Receiver) -> tuple[Event, dict[str, str], dict[str, Any]]:
    """Suspend an agent, and return the event, and what the tracker got."""
    agents.suspend(make.agent("research-bot"), by=SYSTEM, reason="key=hunter2 leaked")
    event = Event.objects.get(action="agent.suspended")
    notify_endpoints(event)
    delivery.send_next()
    [(headers, body)] = there.taken
    assert b"hunter2" not in body
    assert WebhookMessage.objects.get().state == "sent"
    return event, headers, json.loads(body)


def check_adf(document: dict[str, Any]) -> str:
    """Check a document of the Atlassian Document Format as Jira does, and return its text."""
    assert document.keys() == {"type", "version", "content"}
    assert (document["type"], document["version"]) == ("doc", 1)
    texts = []
    for paragraph in document["content"]:
        assert paragraph.keys() == {"type", "content"}
        assert paragraph["type"] == "paragraph"
        for inline in paragraph["content"]:
            assert inline.keys() <= {"type", "text", "marks"}
            assert inline["type"] in _INLINE
            assert inline["text"], "Jira refuses an empty text"
            for mark in inline.get("marks", ()):
                assert mark.keys() == {"type", "attrs"}
                assert (mark["type"], list(mark["attrs"])) == ("link", ["href"])
            texts.append(inline["text"])
    return "\n".join(texts)


def test_jira_opens_an_issue_in_the_project(there: Receiver, settings: Settings) -> None:
    add(there, "jira", JIRA)
    _event, headers, body = told(there)
    assert headers["authorization"] == "Basic " + base64.b64encode(b"bot@example.org:api:token-1").decode()
    assert (headers["accept"], headers["content-type"]) == ("application/json", "application/json")
    assert not any(name.startswith("webhook-") for name in headers)
    fields = body.pop("fields")
    assert body == {}
    assert fields.keys() == {"project", "issuetype", "summary", "description"}
    assert (fields["project"], fields["issuetype"]) == ({"key": "SEC"}, {"name": "Task"})
    assert fields["summary"] == "An agent was suspended"
    text = check_adf(fields["description"])
    assert f"{settings.CONSOLE_URL}/agents/research-bot/" in text
    assert "agent:research-bot" in text


def test_servicenow_opens_an_incident(there: Receiver, settings: Settings) -> None:
    add(there, "servicenow", SERVICENOW)
    event, headers, body = told(there)
    assert headers["authorization"] == "Basic " + base64.b64encode(b"mandate.bot:pass word").decode()
    assert headers["accept"] == "application/json"
    assert body.keys() == {"short_description", "description", "correlation_id", "correlation_display"}
    assert all(isinstance(value, str) for value in body.values()), "a field of a record is a text"
    assert (body["correlation_id"], len(body["correlation_id"]) <= 100) == (str(event.uuid), True)
    assert body["short_description"] == "An agent was suspended"
    assert f"{settings.CONSOLE_URL}/agents/research-bot/" in body["description"]


def test_a_token_without_a_user_is_a_bearer_token(there: Receiver) -> None:
    made = add(there, "servicenow", Tracker(credential="token-2"))
    webhooks.queue_test(made, by=SYSTEM)
    delivery.send_next()
    [(headers, body)] = there.taken
    assert headers["authorization"] == "Bearer token-2"
    assert "correlation_id" not in json.loads(body)


def test_what_a_tracker_refuses_is_tried_again(there: Receiver) -> None:
    webhooks.queue_test(add(there, "jira", JIRA), by=SYSTEM)
    there.answer = 401
    delivery.send_next()
    found = WebhookMessage.objects.get()
    assert (found.state, found.answer, found.attempts) == ("waiting", "401", 1)


def test_the_credential_lies_sealed_and_is_sealed_anew(there: Receiver, settings: Settings) -> None:
    made = add(there, "jira", JIRA)
    everything = str([list(rows.values_list()) for rows in (Webhook.objects.all(), Event.objects.all())])
    assert "token-1" not in everything
    assert JIRA.authorization().removeprefix("Basic ") not in everything
    assert "token-1" not in repr(JIRA)
    replace(settings)
    key_rotation.reseal(by=SYSTEM, reason="yearly")
    made.refresh_from_db()
    assert bytes(made.sealed_credential or b"").startswith(seal.beginning())
    assert webhooks.authorization(made) == JIRA.authorization()


@pytest.mark.parametrize(
    ("form", "tracker"),
    [
        ("jira", Tracker("u", "", "SEC", "Task")),
        ("jira", Tracker("u", "t", "", "Task")),
        ("jira", Tracker("u", "t", "SEC", " ")),
        ("jira", Tracker("u", "t", "sec/../x", "Task")),
        ("servicenow", Tracker("u:v", "t")),
        ("servicenow", Tracker("u", "t\r\nX-Other: 1")),
        ("servicenow", Tracker("", "t\u00e9")),
        ("servicenow", Tracker("u", "t", "SEC", "Task")),
        ("standard", Tracker("u", "t")),
        ("slack", JIRA),
    ],
)
def test_what_does_not_fit_the_form_is_refused(there: Receiver, form: str, tracker: Tracker) -> None:
    with pytest.raises(trackers.TrackerUnusable):
        add(there, form, tracker)
    assert not Webhook.objects.exists()


def test_the_database_refuses_a_tracker_without_a_credential(there: Receiver) -> None:
    made = add(there, "jira", JIRA)
    with pytest.raises(IntegrityError), transaction.atomic():
        Webhook.objects.filter(pk=made.pk).update(sealed_credential=None)
    with pytest.raises(IntegrityError), transaction.atomic():
        Webhook.objects.filter(pk=made.pk).update(form="slack")


def test_a_tracker_is_added_over_rest_and_its_credential_never_shown(there: Receiver) -> None:
    admin = client.proven(make.person(roles=["admin"]))
    body = {"slug": "jira", "url": there.url, "form": "jira", "events": WANTED}
    assert admin.post("/api/v1/webhooks", body, format="json").json()["code"] == "tracker_unusable"
    tracker = {"user": JIRA.user, "credential": JIRA.credential, "project": "SEC", "issue_type": "Task"}
    made = admin.post("/api/v1/webhooks", {**body, "tracker": tracker}, format="json")
    assert (made.status_code, made.json()["options"]) == (201, {"project": "SEC", "issue_type": "Task"})
    assert "token-1" not in str(made.json())
    assert "token-1" not in str(admin.get("/api/v1/webhooks/jira").json())


def test_a_tracker_is_added_in_the_console(there: Receiver) -> None:
    browser = visits.as_(make.person(roles=["admin"]))
    here = "/settings/notices/webhooks/"
    form = {"slug": "snow", "url": there.url, "form": "servicenow", "events": WANTED, "user": "bot"}
    refused = visits.text(browser.post(here, form))
    assert "tracker_unusable" in refused
    page = visits.text(browser.post(here, {**form, "credential": "pass-7"}))
    assert "ServiceNow" in page
    assert "pass-7" not in page
    assert "whsec_" not in page
    assert webhooks.authorization(Webhook.objects.get()) == "Basic " + base64.b64encode(b"bot:pass-7").decode()
