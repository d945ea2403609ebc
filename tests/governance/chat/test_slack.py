"""Messages in Slack to the person who must decide, at a server that checks what Slack documents."""

from __future__ import annotations

import json
import logging
from collections.abc import Callable, Iterator
from datetime import datetime, timedelta
from typing import Any

import pytest
from pytest_django.fixtures import Settings

from audit import clock
from audit.context import SYSTEM
from audit.models import Event
from entitlements.people import people
from entitlements.people.models import Person, Role
from entitlements.secrets import seal
from governance import tasks
from governance.chat import connections, facts, messages, refusals
from governance.chat.models import ChatAccount, ChatConnection
from governance.guardrails import proposals as guardrails
from governance.mail import outbox, preferences
from governance.notices import listener
from governance.notices.models import Delivery, Kind, Notice, NoticeSettings
from governance.operations import key_rotation
from governance.requests import requests
from tests import make
from tests.entitlements.api import client
from tests.governance import companies
from tests.governance.chat.slack_server import APP, BOT, Slack, slack
from tests.governance.companies import Company
from tests.governance.console import visits
from tests.operate.test_resealing import replace

pytestmark = [pytest.mark.django_db, pytest.mark.loopback]

type Clock = Callable[[datetime | timedelta], datetime]
PAGE, API = "/settings/chat/", "/api/v1/chat-connections"


@pytest.fixture
def there(settings: Settings) -> Iterator[Slack]:
    settings.DEMO = True  # where a server on this machine is allowed
    with slack() as running:
        settings.SLACK_API_URL = running.url
        yield running


@pytest.fixture
def company() -> Company:
    found = companies.found()
    for person in (found.sofia, found.sam):
        Person.objects.filter(pk=person.pk).update(email=f"{person.login}@example.com")
    return found


def connect(there: Slack, *, names_shown: bool = False, app_token: str = "") -> ChatConnection:
    there.users = {"sofia@example.com": "U1", "sam@example.com": "U2"}
    connection = connections.connect_slack(bot_token=BOT, app_token=app_token, by=SYSTEM)
    return connections.show_names(connection, names_shown=names_shown, by=SYSTEM)


def tell() -> None:
    """Read the whole record twice, and send what is due."""
    for _ in range(2):
        for event in Event.objects.order_by("at", "sequence"):
            listener.notify(event)
    tasks.post_chat_messages()


def texts(message: dict[str, Any]) -> list[str]:
    """Return the texts of a message's blocks."""
    said, *rows, buttons = message["blocks"]
    fields = [field["text"] for row in rows for field in row["fields"]]
    return [said["text"]["text"], *fields, buttons["elements"][0]["url"]]


def test_who_must_decide_gets_one_message_without_names(there: Slack, company: Company, settings: Settings) -> None:
    connect(there)
    request = company.ask("now", "remove")
    tell()
    assert sorted(message["channel"] for message in there.sent) == ["U1", "U2"]
    sentence, risk, due, link = texts(there.sent[0])
    assert [sentence, risk.split("\n")[0]] == ["A request waits for you.", "Risk level"]
    assert due.startswith(f"Due\n{request.answer_by:%Y-%m-%d %H:%M} UTC (in ")
    said = json.dumps(there.sent)
    assert not [name for name in ("research-bot", "clock", "Otto", "otto") if name in said]
    notice = Notice.objects.get(person=company.sofia)
    assert f"{settings.CONSOLE_URL}/inbox/" in link
    opened = visits.as_(company.sofia).get(f"/inbox/{notice.pk}/")
    assert [opened.status_code, opened["Location"]] == [302, f"/requests/{request.pk}/"]
    assert visits.as_(company.sam).get(f"/inbox/{notice.pk}/").status_code == 404
    assert not Delivery.objects.exclude(state="sent").exists()


def test_with_names_a_message_says_who_asks_for_what(there: Slack, company: Company) -> None:
    connect(there, names_shown=True)
    company.ask("now", "remove")
    tell()
    said = texts(there.sent[0])
    assert said[0] == "A request waits for you: research-bot asks for clock:use."
    assert {f"Agent\n{company.bot.name}", f"Requested by\n{company.otto.name}"} <= set(said)


def test_foreign_names_are_neither_markup_nor_links(there: Slack, company: Company) -> None:
    connect(there, names_shown=True)
    hostile = "<!channel> *bold* <https://evil.example|ok> & \u202eevil.example"
    type(company.bot).objects.filter(pk=company.bot.pk).update(name=hostile)
    company.ask("now", "remove")
    tell()
    message = there.sent[0]
    assert "<" not in message["text"]
    assert "&lt;!channel&gt;" in message["text"]
    assert "evil.example" not in json.dumps(message)
    assert "\u202e" not in json.dumps(message, ensure_ascii=False)
    kinds = [block["text"]["type"] for block in message["blocks"] if "text" in block]
    kinds += [field["type"] for block in message["blocks"] for field in block.get("fields", [])]
    assert set(kinds) == {"plain_text"}, "nothing of it is read as markup"


def test_a_person_who_left_has_no_account_or_chose_none_gets_nothing(there: Slack, company: Company) -> None:
    connect(there)
    del there.users["sam@example.com"]
    company.ask("now", "remove")
    for event in Event.objects.order_by("at", "sequence"):
        listener.notify(event)
    people.disable(company.sofia, by=SYSTEM, reason="left")
    tasks.post_chat_messages()
    assert there.sent == []
    answers = dict(Delivery.objects.values_list("person__login", "answer"))
    assert answers["sofia"] == "This person has left."
    assert "knows no account" in answers["sam"]
    assert [account.account for account in ChatAccount.objects.all()] == [""], "it is not looked up for each message"


def test_a_person_who_chose_no_chat_gets_mail_alone(there: Slack, company: Company) -> None:
    connect(there)
    values: dict[str, Any] = {"time_zone": "UTC", "digest_hour": 8, "quiet_from": None, "quiet_until": None}
    preferences.change(company.sam, **values, not_mailed=[], chat_off=["slack"], by=company.sam.principal)
    company.ask("now", "remove")
    tell()
    assert [message["channel"] for message in there.sent] == ["U1"]
    assert Notice.objects.filter(person=company.sam).exists()


def test_what_was_decided_meanwhile_is_not_told(there: Slack, company: Company) -> None:
    connect(there)
    request = company.ask("now", "remove")
    for event in Event.objects.order_by("at", "sequence"):
        listener.notify(event)
    requests.cancel(request.pk, company.otto)
    tasks.post_chat_messages()
    assert [there.sent, Delivery.objects.filter(state="dead").count()] == [[], 2]
    assert not Event.objects.filter(action="delivery.given_up").exists()


def test_slack_asks_to_wait_and_nothing_is_sent_before(there: Slack, company: Company, at: Clock) -> None:
    at(timedelta())
    connect(there)
    company.ask("now", "remove")
    there.busy = 120
    tell()
    assert there.calls.count("users.lookupByEmail") == 1, "the second message waits as well"
    there.busy = 0
    at(timedelta(seconds=119))
    tasks.post_chat_messages()
    assert there.sent == []
    at(timedelta(seconds=121))
    tasks.post_chat_messages()
    assert len(there.sent) == 2


def test_a_refusal_is_shown_tried_again_and_given_up(there: Slack, company: Company, at: Clock) -> None:
    at(timedelta())
    connection = connect(there)
    connections.queue_test(connection, by=company.sofia)
    there.errors["chat.postMessage"] = "token_revoked"
    for _ in range(outbox.MOST_ATTEMPTS):
        tasks.post_chat_messages()
        at(Delivery.objects.get().next_at)
    delivery = Delivery.objects.get()
    assert [delivery.state, delivery.attempts, delivery.answer] == ["dead", 10, "token_revoked"]
    assert Event.objects.filter(action="delivery.given_up").count() == 1
    ada = make.person("ada", roles=[Role.ADMIN])
    assert "token_revoked" in visits.text(visits.as_(ada).get(PAGE))
    there.errors.clear()
    outbox.replay(delivery.pk, by=SYSTEM)
    assert not outbox.send_one(), "the mail's sender leaves it alone"
    tasks.post_chat_messages()
    connection.refresh_from_db()
    assert [len(there.sent), connection.error] == [1, ""]


def test_the_tokens_are_in_no_log_row_page_or_answer(
    there: Slack, company: Company, settings: Settings, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    ada = make.person("ada", roles=[Role.ADMIN])
    made = client.proven(ada).post(f"{API}/slack/connect", {"bot_token": BOT, "app_token": APP}, format="json")
    assert [made.status_code, made.json()["socket_mode"], made.json()["name"]] == [201, True, "Example Ltd"]
    there.errors["chat.postMessage"] = f"bad {BOT}"
    connections.queue_test(ChatConnection.objects.get(), by=company.sofia)
    there.users = {"sofia@example.com": "U1"}
    tasks.post_chat_messages()
    rows = [list(model.objects.values_list()) for model in (ChatConnection, Event, Delivery)]
    page = visits.text(visits.as_(ada).get(PAGE))
    everything = f"{rows} {page} {made.content!r} {client.of(ada).get(API).content!r} {caplog.text}"
    assert "canary" not in everything
    replace(settings)
    assert key_rotation.reseal(by=SYSTEM, reason="yearly").chat_connections == 1
    kept = ChatConnection.objects.get()
    assert bytes(kept.sealed_token).startswith(seal.beginning())
    assert [connections.token(kept), connections.app_token(kept)] == [BOT, APP]


def test_a_wrong_or_refused_token_is_not_stored(there: Slack) -> None:
    with pytest.raises(connections.WrongToken):
        connections.connect_slack(bot_token="xoxp-of-a-person", by=SYSTEM)
    with pytest.raises(refusals.ChatRefused, match="invalid_auth"):
        connections.connect_slack(bot_token=BOT + "x", by=SYSTEM)
    with pytest.raises(refusals.ChatRefused, match="invalid_auth"):
        connections.connect_slack(bot_token=BOT, app_token=APP + "x", by=SYSTEM)
    there.busy = 5
    with pytest.raises(connections.ChatBusy):
        connections.connect_slack(bot_token=BOT, by=SYSTEM)
    assert not ChatConnection.objects.exists()


def test_an_administrator_connects_tests_and_disconnects_on_the_page(there: Slack, company: Company) -> None:
    ada = make.person("ada", roles=[Role.ADMIN])
    Person.objects.filter(pk=ada.pk).update(email="ada@example.com")
    there.users = {"ada@example.com": "U9"}
    assert visits.as_(company.ana).post(PAGE, {"verb": "slack", "bot_token": BOT}).status_code == 403
    assert visits.as_(ada, fresh=False).post(PAGE, {"verb": "slack", "bot_token": BOT}).status_code in (302, 403)
    wrong = visits.as_(ada).post(PAGE, {"verb": "slack", "bot_token": BOT + "x"})
    assert [wrong.status_code, "invalid_auth" in visits.text(wrong), BOT in visits.text(wrong)] == [422, True, False]
    there_is = {"service": "slack"}
    visits.as_(ada).post(PAGE, {"verb": "slack", "bot_token": BOT})
    visits.as_(ada).post(PAGE, {"verb": "names", "names_shown": "on", **there_is})
    visits.as_(ada).post(PAGE, {"verb": "test", **there_is})
    tasks.post_chat_messages()
    assert [message["channel"] for message in there.sent] == ["U9"]
    assert ChatConnection.objects.get().names_shown
    assert "Slack" in visits.text(visits.as_(ada).get("/settings/notices/"))
    connections.queue_test(ChatConnection.objects.get(), by=ada)
    assert visits.as_(ada).post(PAGE, {"verb": "disconnect", "reason": " ", **there_is}).status_code == 422
    visits.as_(ada).post(PAGE, {"verb": "disconnect", "reason": "Moved.", **there_is})
    tasks.post_chat_messages()
    assert [len(there.sent), ChatConnection.objects.exists(), ChatAccount.objects.exists()] == [1, False, False]
    told = Event.objects.filter(action__startswith="chat.").order_by("at", "sequence").values_list("action", flat=True)
    assert [*told] == [f"chat.{what}" for what in ("connected", "names_changed", "tested", "tested", "disconnected")]
    assert "Do not message me in" not in visits.text(visits.as_(ada).get("/settings/notices/"))


@pytest.mark.usefixtures("there")
def test_an_administrator_does_the_same_by_api(company: Company) -> None:
    ada = make.person("ada", roles=[Role.ADMIN])
    assert client.proven(company.ana).post(f"{API}/slack/connect", {"bot_token": BOT}).status_code == 403
    assert client.of(ada).post(f"{API}/slack/connect", {"bot_token": BOT}, format="json").status_code == 403
    client.proven(ada).post(f"{API}/slack/connect", {"bot_token": BOT}, format="json")
    named = client.proven(ada).post(f"{API}/slack/names", {"names_shown": True}, format="json")
    assert named.json()["names_shown"] is True
    assert [each["service"] for each in client.of(ada).get(API).json()["results"]] == ["slack"]
    assert client.of(ada).post(f"{API}/slack/test", {}, format="json").json()["state"] == "waiting"
    gone = client.proven(ada).post(f"{API}/slack/disconnect", {"reason": "Moved."}, format="json")
    assert [gone.status_code, client.of(ada).get(f"{API}/slack").status_code] == [200, 404]


def test_chat_is_chosen_by_each_person_and_kept_where_it_is_left_out(there: Slack, company: Company) -> None:
    body: dict[str, Any] = {"time_zone": "UTC", "digest_hour": 8, "quiet_from": None, "quiet_until": None}
    body |= {"not_mailed": [], "chat_off": ["slack"]}
    address = "/api/v1/notice-settings"
    assert client.of(company.sam).put(address, body, format="json").json()["chat_off"] == ["slack"]
    del body["chat_off"]
    assert client.of(company.sam).put(address, body, format="json").json()["chat_off"] == ["slack"]
    connect(there)
    visits.as_(company.sam).post("/settings/notices/", {**body, "quiet_from": "", "quiet_until": ""})
    assert NoticeSettings.objects.get(person=company.sam).chat_off == []


@pytest.mark.parametrize("kind", facts.WITHOUT_NAMES)
def test_each_kind_has_words_without_names(kind: Kind) -> None:
    person = make.person("sofia")
    guardrails.propose("Shut", effect="forbid", mode="observe", when={"risk": "high"}, by=make.security())
    about = {"sentence": "Secret-name does it.", "url": "/nowhere/", "about": "guardrail:shut"}
    notice = Notice(person=person, kind=kind, made_at=clock.now(), **about)
    text = messages.write(Delivery(person=person, notice=notice), names_shown=False)
    assert text is not None
    assert "Secret-name" not in text.sentence
    assert text.sentence.endswith("you.") or text.sentence.endswith(("decision.", "review."))
