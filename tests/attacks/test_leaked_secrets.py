"""A system answers with the secret of another one: it is taken out, in each kind and place, recorded, in no sink."""

from __future__ import annotations

import base64
import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx2
import pytest
from aiohttp import web
from django.db import connection

from audit.context import SYSTEM
from audit.models import Event
from entitlements.catalog import discovery
from entitlements.catalog.models import Tool
from entitlements.secrets import vault
from entitlements.stdio_commands import terms
from tests import make
from tests.entitlements.api import client as api
from tests.entitlements.gateway import rest_world, scripted, world
from tests.entitlements.gateway.rest_world import Service
from tests.entitlements.gateway.scripted import Scripted
from tests.entitlements.gateway.test_local_servers import local
from tests.entitlements.gateway.world import Gateway, World
from tests.entitlements.stdio import packages

pytestmark = pytest.mark.loopback

CANARY = "canary/9f8e7d6c5b4a-of-another-system"
WORDS = CANARY.encode()
ESCAPED = "".join(f"\\u{ord(letter):04x}" for letter in CANARY)
FORMS = [CANARY, ESCAPED, base64.b64encode(WORDS).decode(), WORDS.hex(), CANARY.replace("/", "\\/")]


class Leaky(Scripted):
    """Answers with the text that its argument names, at the place that it names."""

    async def act(self, request: web.Request, body: dict[str, Any], do: str) -> web.StreamResponse:
        said = body["params"]["arguments"]["text"].replace("CANARY", CANARY).replace("ESCAPED", ESCAPED)
        begin = f'{{"jsonrpc":"2.0","id":{body["id"]},'
        if do == "error":
            return self.plain(f'{begin}"error":{{"code":-32000,"message":"{said}"}}}}')
        if do == "result":
            return self.plain(f'{begin}"result":{{"content":[{{"type":"text","text":"{said}"}}],"{said}":1}}}}')
        answer = web.StreamResponse(headers={"Content-Type": "text/event-stream"})
        await answer.prepare(request)
        progress = f'{{"progressToken":1,"progress":1,"message":"{said}"}}'
        note = f'{{"jsonrpc":"2.0","method":"notifications/progress","params":{progress}}}'
        for message in (note, f'{begin}"result":{{"content":[]}}}}'):
            await answer.write(f"data: {message}\n\n".encode())
        return answer

    @staticmethod
    def plain(text: str) -> web.Response:
        """Return JSON as it is written."""
        return web.Response(text=text, content_type="application/json")


@pytest.fixture(scope="module")
def leaky() -> Iterator[Scripted]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(scripted, "Scripted", Leaky)
        with scripted.upstream() as server:
            yield server


@pytest.fixture(scope="module")
def service() -> Iterator[Service]:
    with rest_world.service() as found:
        yield found


@pytest.fixture(scope="module")
def agreed() -> Iterator[dict[str, Any]]:
    with packages.small() as folder:
        yield terms.whole(packages.agreed(folder))


@pytest.fixture(scope="module")
def log(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("log") / "node.log"


@pytest.fixture(scope="module")
def node(database: None, log: Path) -> Iterator[Gateway]:  # noqa: ARG001 - it reads the database
    with log.open("wb") as output, world.gateway("node-1", output=output) as running:
        yield running


@pytest.fixture(scope="module")
def other(database: None) -> str:  # noqa: ARG001 - it writes there
    """Store the canary as the secret of a system that no call here goes to."""
    system = make.system("another")
    vault.set_secret(system, kind="bearer", value=CANARY, by=SYSTEM)
    return system.slug


@pytest.fixture
def by_mcp(node: Gateway, other: str, leaky: Scripted) -> World:  # noqa: ARG001 - both are there first
    return world.build(leaky.url, tool="act", schema={"type": "object"})


def is_clean(text: str) -> bool:
    return not any(form in text for form in (*FORMS, CANARY[:16]))


def endings(here: World) -> list[tuple[str, str, str]]:
    """Return how its calls ended, once that is in the record."""
    ends = ("call.finished", "call.indeterminate")
    world.wait_until(lambda: bool(set(ends) & {event.action for event in here.events()}), 5)
    return [(event.action, event.outcome, event.code) for event in here.events() if event.action in ends]


def leaks(here: World) -> list[dict[str, Any]]:
    return [event.detail for event in here.events() if event.action == "secret.leaked"]


def check_recorded(here: World) -> None:
    assert endings(here) == [("call.finished", "failure", "secret_in_answer")]
    world.wait_until(lambda: bool(leaks(here)), 5)
    assert [(leak["opens"], leak["system"]) for leak in leaks(here)] == [(["another"], here.system.slug)]


@pytest.mark.parametrize("place", ["result", "error", "notification"])
@pytest.mark.parametrize("form", FORMS)
def test_an_mcp_server_gives_away_no_secret_of_another_system(
    node: Gateway, by_mcp: World, place: str, form: str
) -> None:
    written = form.replace(ESCAPED, "ESCAPED").replace(CANARY, "CANARY")
    answer = node.call(by_mcp, do=place, text=f"the key is {written}.")

    assert is_clean(answer.text), answer.text
    assert "[removed]" in answer.text
    check_recorded(by_mcp)


def _by_rest(node: Gateway, here: World, said: str) -> httpx2.Response:
    return rest_world.ask(node, here, "GET", f"/orders/{said}")


def _by_mcp(node: Gateway, here: World, said: str) -> httpx2.Response:
    return node.modern(here.system.slug, "tools/call", here.token(), name="read_order", arguments={"id": said})


@pytest.mark.parametrize("ask", [_by_rest, _by_mcp])
def test_a_rest_api_gives_away_no_secret_of_another_system(
    node: Gateway, other: str, service: Service, ask: Callable[[Gateway, World, str], httpx2.Response]
) -> None:
    here = rest_world.build(service.url)
    answer = ask(node, here, WORDS.hex())

    assert other == "another"
    assert is_clean(answer.text), answer.text
    assert "[removed]" in answer.text
    check_recorded(here)


def test_a_local_server_gives_away_no_secret_of_another_system(
    node: Gateway, other: str, agreed: dict[str, Any]
) -> None:
    here = local(agreed)
    answer = node.call(here, what=CANARY)

    assert other == "another"
    assert is_clean(answer.text), answer.text
    check_recorded(here)


def test_a_secret_that_was_just_stored_is_known_to_each_node(node: Gateway, by_mcp: World) -> None:
    newest = "canary-that-was-stored-just-now-81f2"
    assert newest in node.call(by_mcp, do="result", text=newest).text
    vault.set_secret(make.system(), kind="header", header="X-Key", value=newest, by=SYSTEM)

    world.wait_until(lambda: newest not in node.call(by_mcp, do="result", text=newest).text, 5)


def test_a_definition_is_shown_and_stored_without_it_and_that_is_recorded_once(other: str) -> None:
    system = make.system()
    raw = {"name": "look", "description": f"Looks, with {CANARY}.", "inputSchema": {"type": "object"}}
    for _ in range(2):
        assert discovery.record_discovery(system, [dict(raw)], by=SYSTEM).leaked == {"look": {other}}

    tool = Tool.objects.select_related("seen").get(system=system)
    assert tool.seen is not None
    assert tool.seen.definition["description"] == "Looks, with [removed]."
    assert Event.objects.filter(action="secret.leaked", links__contains=[f"system:{system.slug}"]).count() == 1
    assert Event.objects.filter(action="secret.leaked", links__contains=[f"system:{other}"]).exists()


def test_no_sink_holds_it(node: Gateway, by_mcp: World, log: Path, agreed: dict[str, Any]) -> None:
    for place in ("result", "error", "notification"):
        node.call(by_mcp, do=place, text="CANARY")
        node.call(by_mcp, do=place, text="CANARY", more=CANARY)
    node.modern(by_mcp.system.slug, "tools/list", CANARY)
    node.modern(f"nothing-{CANARY.rpartition('/')[2]}", CANARY, by_mcp.token())
    node.call(local(agreed), what=CANARY)
    world.wait_until(lambda: len(leaks(by_mcp)) == 6, 5)

    sinks = {"log": log.read_text(), "metrics": httpx2.get(f"{node.base}/metrics", timeout=5).text}
    with connection.cursor() as cursor:
        for table in connection.introspection.table_names(cursor):
            cursor.execute(f'SELECT t::text FROM "{table}" t')  # noqa: S608 - a name of the catalogue
            sinks[table] = "\n".join(row for (row,) in cursor.fetchall())
    auditor = api.of(make.person(roles=["auditor", "analyst", "admin"]))
    sinks["export"] = b"".join(auditor.get("/api/v1/audit/export")).decode()
    for path in ("audit-events", "systems/another", "tools", f"tools/{by_mcp.system.slug}/act"):
        sinks[path] = json.dumps(auditor.get(f"/api/v1/{path}").json())
    assert [sink for sink, text in sinks.items() if not is_clean(text)] == []
    assert all(each in sinks[Event._meta.db_table] for each in ("secret.leaked", "secret_in_answer"))
