"""Messages in Microsoft Teams, at a server that checks the documented shapes of its three services."""

from __future__ import annotations

import json
import logging
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Final
from urllib.parse import parse_qs, urlsplit
from uuid import UUID

import pytest
from pytest_django.fixtures import Settings

from audit.context import SYSTEM
from audit.models import Event
from entitlements.people.models import Person, Role
from governance import tasks
from governance.chat import connections, refusals
from governance.chat.models import ChatConnection
from governance.clouds import TeamsCloud
from governance.notices import listener
from governance.notices.models import Delivery
from tests import make
from tests.entitlements.api import client
from tests.governance import companies
from tests.governance.companies import Company
from tests.governance.console import visits

pytestmark = [pytest.mark.django_db, pytest.mark.loopback]
APP, TENANT, SECRET = UUID(int=7), UUID(int=8), "canary~of~the~app"
PAGE: Final = "/settings/chat/"


class Teams(ThreadingHTTPServer):
    """`installed` names the object ids for whom the app is installed; `posted` keeps who got which activity."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Answers)
        self.users = {"sofia@example.com": "aad-sofia", "o'sam@example.com": "aad-sam"}
        self.installed = {"aad-sofia", "aad-sam"}
        self.busy = 0
        self.posted: list[tuple[str, dict[str, Any]]] = []

    @property
    def cloud(self) -> TeamsCloud:
        """Where its services are."""
        base = f"http://127.0.0.1:{self.server_address[1]}"
        return TeamsCloud(f"{base}/login", f"{base}/graph", f"{base}/teams", "https://api.botframework.com/.default")


class _Answers(BaseHTTPRequestHandler):
    server: Teams

    def do_POST(self) -> None:
        """Give a token, open a conversation, or take an activity."""
        body = self.rfile.read(int(self.headers["Content-Length"]))
        path = urlsplit(self.path).path
        if path == f"/login/{TENANT}/oauth2/v2.0/token":
            fields = {name: values[0] for name, values in parse_qs(body.decode()).items()}
            if (fields["client_id"], fields["client_secret"]) != (str(APP), SECRET):
                self._say(401, {"error": "invalid_client", "error_description": f"AADSTS7000215 {SECRET}"})
            else:
                self._say(200, {"access_token": f"token for {fields['scope']}", "token_type": "Bearer"})
        elif self.headers["Authorization"] != "Bearer token for https://api.botframework.com/.default":
            self._say(401, {"error": {"code": "Unauthorized"}})
        elif self.server.busy:
            self._say(429, {"error": {"code": "TooManyRequests"}}, {"Retry-After": str(self.server.busy)})
        elif path == "/teams/v3/conversations":
            asked = json.loads(body)
            assert [asked["isGroup"], asked["tenantId"], len(asked["members"])] == [False, str(TENANT), 1]
            assert [asked["bot"], asked["channelData"]] == [{"id": f"28:{APP}"}, {"tenant": {"id": str(TENANT)}}]
            user = asked["members"][0]["id"]
            refused = {"error": {"code": "Forbidden", "message": "The bot is not installed."}}
            self._say(*((201, {"id": f"a:{user}"}) if user in self.server.installed else (403, refused)))
        else:
            _empty, _teams, _v3, _conversations, conversation, last = path.split("/")
            assert last == "activities"
            self.server.posted.append((conversation, json.loads(body)))
            self._say(201, {"id": "1"})

    def do_GET(self) -> None:
        """List users."""
        parts = urlsplit(self.path)
        query = parse_qs(parts.query)
        if self.headers["Authorization"] != f"Bearer token for {self.server.cloud.graph}/.default":
            self._say(403, {"error": {"code": "Authorization_RequestDenied"}})
            return
        assert parts.path == "/graph/v1.0/users"
        wanted = query.get("$filter", [""])[0]
        found = [
            {"id": user, "accountEnabled": True}
            for email, user in self.server.users.items()
            if f"mail eq '{email.replace(chr(39), chr(39) * 2)}'" in wanted
        ]
        self._say(200, {"value": found})

    def _say(self, status: int, answer: dict[str, Any], headers: dict[str, str] | None = None) -> None:
        self.send_response(status)
        for name, value in (headers or {}).items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(json.dumps(answer).encode())

    def log_message(self, *_: object) -> None:
        """Say nothing."""


@pytest.fixture
def there(settings: Settings) -> Iterator[Teams]:
    settings.DEMO = True
    with Teams() as server:
        settings.TEAMS = server.cloud
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
        thread.start()
        try:
            yield server
        finally:
            server.shutdown()
            thread.join()


@pytest.fixture
def company() -> Company:
    found = companies.found()
    Person.objects.filter(pk=found.sofia.pk).update(email="sofia@example.com")
    Person.objects.filter(pk=found.sam.pk).update(email="o'sam@example.com")
    return found


def tell() -> None:
    for event in Event.objects.order_by("at", "sequence"):
        listener.notify(event)
    tasks.post_chat_messages()


def connect(secret: str = SECRET) -> ChatConnection:
    return connections.connect_teams(app_id=APP, tenant=TENANT, secret=secret, by=SYSTEM)


def test_an_approver_gets_a_card_without_names_and_its_runs_know_no_markup(there: Teams, company: Company) -> None:
    connection = connect()
    company.ask("now", "remove")
    tell()
    assert sorted(user for user, _ in there.posted) == ["a:aad-sam", "a:aad-sofia"]
    activity = there.posted[0][1]
    card = activity["attachments"][0]["content"]
    said = [block["inlines"][0]["text"] for block in card["body"]]
    assert [said[0], said[1].split(":")[0], said[2].split(":")[0]] == ["A request waits for you.", "Risk level", "Due"]
    assert card["actions"][0]["type"] == "Action.OpenUrl"
    assert "research-bot" not in json.dumps(there.posted)
    connections.show_names(connection, names_shown=True, by=SYSTEM)
    type(company.bot).objects.filter(pk=company.bot.pk).update(name="**bold** [x](https://evil.example)")
    company.ask("now", "remove", people=[company.bob])
    tell()
    last = json.dumps(there.posted[-1])
    assert ["**bold**" in last, "evil.example" in last] == [True, False]
    blocks = there.posted[-1][1]["attachments"][0]["content"]["body"]
    assert {block["type"] for block in blocks} == {"RichTextBlock"}


def test_who_lacks_the_app_or_an_account_is_left_to_mail(there: Teams, company: Company) -> None:
    connect()
    there.installed.clear()
    del there.users["sofia@example.com"]
    company.ask("now", "remove")
    tell()
    answers = dict(Delivery.objects.values_list("person__login", "answer"))
    assert [there.posted, "not installed" in answers["sam"], "no account" in answers["sofia"]] == [[], True, True]
    assert ChatConnection.objects.get().error == ""


def test_teams_asks_to_wait(there: Teams, company: Company) -> None:
    connect()
    there.busy = 60
    company.ask("now", "remove")
    tell()
    there.busy = 0
    tasks.post_chat_messages()
    assert [there.posted, ChatConnection.objects.get().paused_until is not None] == [[], True]


def test_a_wrong_secret_is_not_stored_and_the_right_one_is_shown_nowhere(
    there: Teams, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    with pytest.raises(refusals.ChatRefused, match="invalid_client") as refused:
        connect("wrong")
    assert not ChatConnection.objects.exists()
    ada = make.person("ada", roles=[Role.ADMIN])
    body = {"app_id": str(APP), "tenant": str(TENANT), "secret": SECRET}
    made = client.proven(ada).post("/api/v1/chat-connections/teams/connect", body, format="json")
    assert [made.status_code, made.json()["app_id"]] == [201, str(APP)]
    wrong = visits.as_(ada).post(PAGE, {"verb": "teams", **body, "secret": f"{SECRET}x"})
    assert [wrong.status_code, "invalid_client" in visits.text(wrong)] == [422, True]
    page = visits.text(visits.as_(ada).get(PAGE))
    rows = [list(rows.values_list()) for rows in (ChatConnection.objects.all(), Event.objects.all())]
    assert "canary" not in f"{refused.value} {made.content!r} {wrong.content!r} {page} {rows} {caplog.text}"
    assert visits.as_(ada).post(PAGE, {"verb": "teams", **body, "tenant": "../x"}).status_code == 422
    assert there.posted == []
