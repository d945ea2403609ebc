"""A system answers with a secret of the vault: the answer is refused, in each kind and place, and in no sink."""

from __future__ import annotations

import base64
import io
import json
import zipfile
from collections.abc import Callable, Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import httpx2
import pytest
from aiohttp import web
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from django.db import connection

from audit import clock
from audit.context import SYSTEM
from audit.models import Event
from entitlements.catalog import discovery
from entitlements.catalog.models import Tool
from entitlements.event_streams import profile, transmit
from entitlements.revocation import revocation
from entitlements.revocation.revocation import Target
from entitlements.secrets import vault
from entitlements.stdio_commands import terms
from governance.reviews.campaigns import close
from governance.reviews.population import campaigns
from governance.reviews.staging import launch
from tests import make, waits
from tests.audit.make import Archive
from tests.entitlements.api import client as api
from tests.entitlements.stdio import packages
from tests.entitlements.traces import collector
from tests.entitlements.traces.collector import Collector
from tests.governance.reviews import worlds as reviews
from tests.nodes.gateway import rest_world, scripted, world
from tests.nodes.gateway.rest_world import Service
from tests.nodes.gateway.scripted import Scripted
from tests.nodes.gateway.test_local_servers import local
from tests.nodes.gateway.world import Gateway, World

LEAKED = "secret.leaked"
CANARY = "canary/9f8e7d6c5b4a-of-another-system"
WORDS = CANARY.encode()
ESCAPED = "".join(f"\\u{ord(letter):04x}" for letter in CANARY)
FORMS = [CANARY, ESCAPED, base64.b64encode(WORDS).decode(), WORDS.hex(), CANARY.replace("/", "\\/")]


class Leaky(Scripted):
    """Answers with the text that its argument names, at the place that it names."""

    async def act(self, request: web.Request, body: dict[str, Any], do: str) -> web.StreamResponse:
        said = body["params"]["arguments"].get("text", "").replace("CANARY", CANARY).replace("ESCAPED", ESCAPED)
        begin = f'{{"jsonrpc":"2.0","id":{body["id"]},'
        if do == "error":
            return self.plain(f'{begin}"error":{{"code":-32000,"message":"{said}"}}}}')
        if do == "repeat":
            return await super().act(request, body, do)  # with the secret that the call came with
        if do == "result":
            return self.plain(f'{begin}"result":{{"content":[{{"type":"text","text":"{said}"}}],"{said}":1}}}}')
        answer = web.StreamResponse(headers={"Content-Type": "text/event-stream"})
        await answer.prepare(request)
        for text in (*(["before"] if do == "hang" else []), said, "after"):
            progress = f'{{"progressToken":1,"progress":1,"message":"{text}"}}'
            note = f'{{"jsonrpc":"2.0","method":"notifications/progress","params":{progress}}}'
            await answer.write(f"data: {note}\n\n".encode())
        if do == "hang":
            return await super().act(request, body, do)
        await answer.write(f'data: {begin}"result":{{"content":[]}}}}\n\n'.encode())
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
def spans() -> Iterator[Collector]:
    with collector.running() as kept:
        yield kept


@pytest.fixture(scope="module")
def node(database: None, log: Path, spans: Collector) -> Iterator[Gateway]:  # noqa: ARG001 - it reads the database
    with (
        log.open("wb") as output,
        world.gateway(
            output=output,
            OTEL_EXPORTER_OTLP_ENDPOINT=spans.url,
            OTEL_BSP_SCHEDULE_DELAY="200",
            OTEL_METRIC_EXPORT_INTERVAL="500",
        ) as running,
    ):
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


def _receipts(*worlds: World) -> dict[str, str]:
    """Revoke what the calls stood on; return the signed receipts as they can be read."""
    done = [
        revocation.revoke(Target("session", str(each.session.pk)), by=SYSTEM, reason="It leaks.") for each in worlds
    ]
    assert all(each.receipt for each in done)
    return {f"receipt {number}": _readable(each.receipt) for number, each in enumerate(done)}


def _readable(token: str) -> str:
    """Return a signed token with its parts decoded."""
    parts = (base64.urlsafe_b64decode(part + "==").decode("latin-1") for part in token.split("."))
    return f"{token} {' '.join(parts)}"


def _streams() -> dict[str, str]:
    """Return what a transmitter would send of all events: with the sessions that ended, some of it leaves."""
    events = Event.objects.all()
    said = [each for event in events if (each := profile.outgoing(transmit._logged(event))) is not None]
    assert len(said) >= 3
    return {"streams": str(said)}


def _pack(here: World, folder: Path) -> dict[str, str]:
    """Review the grants of the system that leaks; return the files of the evidence pack."""
    ana, archive = make.analyst(), Archive(folder, Ed25519PrivateKey.generate())
    due, scope = clock.now() + timedelta(days=14), {"agents": [here.agent.slug]}
    made = campaigns.make("leaks", name="Leaks", due_at=due, scope=scope, by=ana)
    launch.activate(made.pk, by=ana)
    waiting = reviews.waiting_for(made, here.agent.sponsor)
    reviews.answer(made, here.agent.sponsor, [(each.item, reviews.KEEP) for each in waiting])
    close.close(made.pk, by=ana, reason="The quarter is over.")
    close.finish_closing(made.pk)
    archive.seal()
    content = b"".join(reviews.sealed(made, ana).archive())
    with zipfile.ZipFile(io.BytesIO(content)) as opened:
        return {f"pack {name}": opened.read(name).decode("latin-1") for name in opened.namelist()}


def is_clean(text: str) -> bool:
    return not any(form in text for form in (*FORMS, CANARY[:16]))


def endings(here: World) -> list[tuple[str, str, str]]:
    """Return how its calls ended, once that is in the record."""
    ends = ("call.finished", "call.indeterminate")
    waits.until(lambda: bool(set(ends) & {event.action for event in here.events()}))
    return [(event.action, event.outcome, event.code) for event in here.events() if event.action in ends]


def leaks(here: World) -> list[dict[str, Any]]:
    return [event.detail for event in here.events() if event.action == "secret.leaked"]


def is_refused(answer: httpx2.Response) -> None:
    """Nothing of the answer is passed on; the client learns so, in the words for a denied tool call."""
    last = answer.text.strip().rpartition("data: ")[2]
    result = json.loads(last)["result"]
    assert (result["isError"], result["_meta"]["mandate/denial"]["code"]) == (True, "secret_in_answer")
    assert is_clean(answer.text), answer.text
    assert not any(said in answer.text for said in ("the key is", "[removed]", "after")), answer.text


def check_recorded(here: World) -> None:
    assert endings(here) == [("call.finished", "failure", "secret_in_answer")]
    waits.until(lambda: bool(leaks(here)))
    assert [(leak["opens"], leak["system"]) for leak in leaks(here)] == [(["another"], here.system.slug)]


@pytest.mark.parametrize("place", ["result", "error", "notification"])
@pytest.mark.parametrize("form", FORMS)
def test_an_mcp_server_gives_away_no_secret_of_another_system(
    node: Gateway, by_mcp: World, place: str, form: str
) -> None:
    written = form.replace(ESCAPED, "ESCAPED").replace(CANARY, "CANARY")
    answer = node.call(by_mcp, do=place, text=f"the key is {written}.")

    is_refused(answer)
    check_recorded(by_mcp)


@pytest.mark.parametrize("is_modern", [True, False])
def test_of_a_stream_only_what_came_before_the_secret_is_passed_on_and_the_call_is_cancelled(
    node: Gateway,
    other: str,  # noqa: ARG001 - it is there first
    monkeypatch: pytest.MonkeyPatch,
    *,
    is_modern: bool,
) -> None:
    monkeypatch.setattr(scripted, "Scripted", Leaky)
    with scripted.upstream(is_modern=is_modern) as server:
        here = world.build(server.url, tool="act", schema={"type": "object"})
        answer = node.call(here, do="hang", text=CANARY)
        first, last = (json.loads(line[6:]) for line in answer.text.splitlines() if line.startswith("data: {"))

        assert server.cancelled.wait(waits.SECONDS)
    assert first["params"]["message"] == "before"
    assert last["result"]["_meta"]["mandate/denial"]["code"] == "secret_in_answer"
    assert is_clean(answer.text)
    check_recorded(here)


def test_the_secret_that_a_system_is_called_with_is_refused_as_well(node: Gateway, by_mcp: World) -> None:
    vault.set_secret(by_mcp.system, kind="bearer", value="the-key-of-this-system-4711", by=SYSTEM)
    is_refused(node.call(by_mcp, do="repeat"))
    waits.until(lambda: bool(leaks(by_mcp)))
    assert [leak["opens"] for leak in leaks(by_mcp)] == [[by_mcp.system.slug]]


@pytest.mark.parametrize(("shape", "status"), [("jsonrpc", 200), ("forbidden", 403)])
def test_the_refusal_has_the_shape_of_the_systems_denials(
    node: Gateway, other: str, leaky: Scripted, shape: str, status: int
) -> None:
    here = world.build(leaky.url, tool="act", schema={"type": "object"}, denial_shape=shape)
    answer = node.call(here, do="result", text=CANARY)
    assert other == "another"
    assert is_clean(answer.text)
    assert (answer.status_code, answer.json()["error"]["data"]["code"]) == (status, "secret_in_answer")


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
    if ask is _by_mcp:
        is_refused(answer)
    else:
        assert (answer.status_code, answer.json()["code"]) == (502, "secret_in_answer")
        assert answer.headers["content-type"] == "application/problem+json"
        assert is_clean(answer.text)
    check_recorded(here)


def test_a_local_server_gives_away_no_secret_of_another_system(
    node: Gateway, other: str, agreed: dict[str, Any]
) -> None:
    here = local(agreed)
    answer = node.call(here, what=CANARY)

    assert other == "another"
    is_refused(answer)
    check_recorded(here)


def test_a_secret_that_was_just_stored_is_known_to_each_node(node: Gateway, by_mcp: World) -> None:
    newest = "canary-that-was-stored-just-now-81f2"
    assert newest in node.call(by_mcp, do="result", text=newest).text
    vault.set_secret(make.system(), kind="header", header="X-Key", value=newest, by=SYSTEM)

    waits.until(lambda: newest not in node.call(by_mcp, do="result", text=newest).text)


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


def test_no_sink_holds_it(
    node: Gateway,
    by_mcp: World,
    log: Path,
    agreed: dict[str, Any],
    service: Service,
    spans: Collector,
    tmp_path: Path,
) -> None:
    by_rest, here = rest_world.build(service.url), local(agreed)
    for place in ("result", "error", "notification"):
        node.call(by_mcp, do=place, text="CANARY")
        node.call(by_mcp, do=place, text="CANARY", more=CANARY)
    node.modern(by_mcp.system.slug, "tools/list", CANARY)
    node.modern(f"nothing-{CANARY.rpartition('/')[2]}", CANARY, by_mcp.token())
    node.call(here, what=CANARY)
    for ask in (_by_rest, _by_mcp):
        ask(node, by_rest, WORDS.hex())
    waits.until(lambda: [len(leaks(each)) for each in (by_mcp, by_rest, here)] == [6, 2, 1])

    sinks = {"log": log.read_text(), "metrics": httpx2.get(f"{node.base}/metrics", timeout=waits.SECONDS).text}
    sinks |= _receipts(by_mcp, by_rest, here) | _streams() | _pack(by_mcp, tmp_path)
    traces = {event.trace for each in (by_mcp, by_rest, here) for event in each.events() if event.action == LEAKED}
    waits.until(lambda: traces <= {span.trace for span in spans.spans} and bool(spans.metrics))
    assert {span.attributes.get("error.type") for span in spans.spans} >= {"secret_in_answer"}
    sinks["spans"] = b"".join(spans.bodies).decode("latin-1") + str(spans.headers)
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
