"""Socket Mode at a server that checks what Slack documents: acknowledgements in time, commands, reconnects."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from asgiref.sync import async_to_sync
from pytest_django.fixtures import Settings

from audit import clock
from audit.context import SYSTEM
from entitlements.people import people
from entitlements.people.models import Person
from governance.chat import connections, socket_mode
from governance.chat.models import ChatAccount, ChatConnection
from governance.management.commands.slack import waits_for
from tests import waits
from tests.governance import companies
from tests.governance.chat.slack_server import APP, BOT, Slack, slack
from tests.governance.companies import Company

pytestmark = [pytest.mark.django_db, pytest.mark.loopback]


@pytest.fixture
def there(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> Iterator[Slack]:
    settings.DEMO = True
    monkeypatch.setattr(socket_mode, "close_old_connections", lambda: None)  # the test's transaction lives on one
    with slack() as running:
        settings.SLACK_API_URL = running.url
        running.users = {"sofia@example.com": "U1"}
        connections.connect_slack(bot_token=BOT, app_token=APP, by=SYSTEM)
        running.calls.clear()
        running.patience = 30.0  # on a busy machine; the test of a slow answer keeps to what Slack gives
        monkeypatch.setattr(socket_mode, "ANSWER_SECONDS", 29.0)
        yield running


@pytest.fixture
def company() -> Company:
    found = companies.found()
    Person.objects.filter(pk=found.sofia.pk).update(email="sofia@example.com")
    return found


def listen(until: Callable[[], bool], waiting: socket_mode.Waits = waits_for) -> None:
    """Keep the connection until something holds."""
    end = time.monotonic() + waits.SECONDS
    async_to_sync(socket_mode.run)(waiting, lambda: until() or time.monotonic() > end, turn=0.05)
    assert until()


def command(number: int = 1, user: str = "U1", team: str | None = "T1") -> dict[str, Any]:
    payload = {"command": "/mandate", "text": "", "user_id": user, "team_id": team}
    envelope = {"type": "slash_commands", "envelope_id": f"e{number}", "accepts_response_payload": True}
    return {**envelope, "payload": payload}


def ask(there: Slack, user: str = "U1", team: str | None = "T1") -> str:
    """Send the command, and return what is answered."""
    there.acknowledged.clear()
    there.envelopes = [[command(user=user, team=team)]]
    listen(lambda: bool(there.acknowledged))
    return json.dumps(there.acknowledged[0]["payload"], ensure_ascii=False)


def test_the_command_answers_with_what_waits(there: Slack, company: Company) -> None:
    assert "Nothing waits for you." in ask(there)
    company.ask("now", "remove")
    said = ask(there)
    assert "1 thing waits for you." in said
    assert "Access request · Risk level: " in said
    assert "research-bot" not in said
    connections.show_names(ChatConnection.objects.get(), names_shown=True, by=SYSTEM)
    assert "research-bot" in ask(there)
    assert {block["type"] for block in there.acknowledged[0]["payload"]["blocks"]} == {"section", "actions"}


@pytest.mark.usefixtures("company")
def test_a_stranger_and_a_person_who_left_are_told_nothing(there: Slack) -> None:
    assert "No active person" in ask(there, "U404")
    assert "No active person" not in ask(there)
    people.disable(Person.objects.get(login="sofia"), by=SYSTEM, reason="left")
    assert "No active person" in ask(there)


def test_a_user_of_another_workspace_is_nobody(there: Slack, company: Company) -> None:
    company.ask("now", "remove")
    ChatAccount.objects.create(
        connection=ChatConnection.objects.get(),
        person=company.sofia,
        email="sofia@example.com",
        account="U1",
        looked_up_at=clock.now(),
    )
    assert "1 thing waits" in ask(there)
    for team in ("T2", None):
        assert "No active person" in ask(there, team=team), "an id that is known is another's there"
    ChatAccount.objects.all().delete()
    there.team_of_users = "T2"
    assert "No active person" in ask(there), "an address in another workspace is what its owner says"
    there.envelopes = [
        [
            {
                "type": "events_api",
                "envelope_id": "e2",
                "payload": {"team_id": "T2", "event": {"type": "app_home_opened", "user": "U1"}},
            }
        ]
    ]
    there.acknowledged.clear()
    listen(lambda: bool(there.acknowledged))
    assert not there.homes


def test_buttons_and_the_home_are_acknowledged_and_the_home_is_filled(there: Slack, company: Company) -> None:
    company.ask("now", "remove")
    there.envelopes = [
        [
            {"type": "interactive", "envelope_id": "e1", "payload": {"type": "block_actions"}},
            {
                "type": "events_api",
                "envelope_id": "e2",
                "payload": {"team_id": "T1", "event": {"type": "app_home_opened", "user": "U1"}},
            },
            {"type": "something_new", "envelope_id": "e3", "payload": "odd"},
        ]
    ]
    listen(lambda: len(there.acknowledged) == 3 and bool(there.homes))
    assert there.acknowledged == [{"envelope_id": f"e{number}"} for number in (1, 2, 3)]
    assert there.homes["U1"]["type"] == "home"
    assert "1 thing waits for you." in json.dumps(there.homes["U1"])


@pytest.mark.usefixtures("company")
def test_slack_asks_for_another_connection_and_gets_it(there: Slack) -> None:
    there.envelopes = [[{"type": "disconnect", "reason": "refresh_requested"}], [command(2)]]
    listen(lambda: bool(there.acknowledged))
    assert [there.sockets >= 2, there.calls.count("apps.connections.open") >= 2] == [True, True]
    assert there.acknowledged[0]["envelope_id"] == "e2"


@pytest.mark.usefixtures("company")
def test_a_slow_answer_is_acknowledged_in_time(there: Slack, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(socket_mode, "ANSWER_SECONDS", 0.05)
    there.patience = 3.0

    def slow(_person: Person) -> list[Any]:
        time.sleep(0.3)
        return []

    there.envelopes = [[command()]]
    listen(lambda: bool(there.acknowledged), slow)
    assert "could not look now" in json.dumps(there.acknowledged[0])


@pytest.fixture
def errors(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Return what is kept for the settings page."""
    kept: list[str] = []
    keep = connections.note_error

    def note(connection: ChatConnection, answer: str) -> None:
        keep(connection, answer)
        kept.append(ChatConnection.objects.get().error)

    monkeypatch.setattr(connections, "note_error", note)
    return kept


def test_a_refusal_and_a_switched_off_socket_are_shown(there: Slack, errors: list[str]) -> None:
    there.envelopes = [[{"type": "disconnect", "reason": "link_disabled"}]]
    listen(lambda: bool(errors))
    there.errors["apps.connections.open"] = "invalid_auth"
    listen(lambda: len(errors) == 2)
    assert ["switched off" in errors[0], "invalid_auth" in errors[1]] == [True, True]


def test_an_address_of_another_domain_is_not_opened(there: Slack, settings: Settings, errors: list[str]) -> None:
    settings.SLACK_API_URL = there.url.replace("127.0.0.1", "localhost")
    listen(lambda: bool(errors))
    assert ["another domain" in errors[0], there.sockets] == [True, 0]
