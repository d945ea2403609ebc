"""What sends slowly, or never to its end, holds up nothing: real processes, as production runs them."""

from __future__ import annotations

import contextlib
import json
import select
import socket
import time
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

import httpx2
import pytest
from django.conf import settings
from django.test import Client as Browser
from pytest_django.plugin import DjangoDbBlocker

from audit.context import SYSTEM
from audit.models import StrangerCount
from entitlements.people import people
from entitlements.people.models import Person
from tests import databases, make, waits
from tests.nodes.attacks.web import web
from tests.nodes.gateway import world

LATE = 3.0
"""Seconds that `tests.deployments.quick_front` gives a stranger's body."""
SOON = 1.0
MANY = 100


@pytest.fixture(scope="module")
def database(django_db_setup: None, django_db_blocker: DjangoDbBlocker) -> Iterator[None]:  # noqa: ARG001
    """Open the database for the module: the processes see only what is committed."""
    with databases.emptied(django_db_blocker):
        yield


@pytest.fixture(scope="module")
def console(database: None, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:  # noqa: ARG001
    """Run the web process; a stranger's body has three seconds."""
    log: Path = tmp_path_factory.mktemp("web") / "log"
    with web(log, application="tests.deployments.quick_front:application", header_seconds=LATE) as address:
        yield address


@contextlib.contextmanager
def stalled(address: str, sent: bytes, count: int) -> Iterator[list[socket.socket]]:
    """Open connections that send this much and then nothing."""
    where = urlsplit(address)
    opened: list[socket.socket] = []
    try:
        for _ in range(count):
            opened.append(socket.socket())
            opened[-1].setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)  # what is not read stays with the sender
            opened[-1].settimeout(waits.SECONDS)
            opened[-1].connect(("127.0.0.1", int(where.port or 0)))
            opened[-1].sendall(sent)
        time.sleep(0.3)
        yield opened
    finally:
        for each in opened:
            each.close()


def half_a_form(path: str, kind: str = "application/x-www-form-urlencoded", length: int = 1000) -> bytes:
    return (
        f"POST {path} HTTP/1.1\r\nHost: localhost\r\nContent-Type: {kind}\r\nContent-Length: {length}\r\n\r\nlogin=a"
    ).encode()


def answer_of(connection: socket.socket) -> tuple[int, dict[str, object]]:
    """Read until the server closes; returns status and problem."""
    connection.settimeout(waits.SECONDS)
    parts = []
    while part := connection.recv(65536):
        parts.append(part)
    head, _, body = b"".join(parts).partition(b"\r\n\r\n")
    return int(head.split()[1]), json.loads(body)


def soon(ask: httpx2.Response) -> httpx2.Response:
    assert ask.elapsed.total_seconds() < SOON, ask.elapsed
    return ask


@pytest.mark.parametrize("sent", [half_a_form("/login/"), b"POST /login/ HTTP/1.1\r\nHost: loc", b""])
def test_while_a_stranger_holds_a_hundred_connections_an_analyst_revokes_at_once(console: str, sent: bytes) -> None:
    ana, grants = make.analyst(), [make.grant(), make.grant()]
    token = {"Authorization": f"Bearer {people.make_api_token(ana, 'laptop', by=SYSTEM)}"}
    browser = Browser()
    browser.force_login(ana)
    signed_in = {"Cookie": browser.cookies[settings.SESSION_COOKIE_NAME].OutputString(attrs=[])}
    with httpx2.Client(base_url=console, timeout=waits.SECONDS) as client:
        assert client.get("/api/v1/me", headers=token).status_code == 200  # the process has done it before
        assert client.get("/agents/", headers=signed_in).status_code == 200
        with stalled(console, sent, MANY):
            for grant in grants:
                body = {"target": {"type": "grant", "id": str(grant.pk)}, "reason": "leak", "wait": True}
                assert soon(client.post("/api/v1/revocations", json=body, headers=token)).status_code == 201
            assert soon(client.get("/agents/", headers=signed_in)).status_code == 200
            assert soon(httpx2.get(f"{console}/login/")).status_code == 200


def test_a_body_that_is_late_or_too_large_is_refused_with_a_code_and_counted(console: str) -> None:
    too_large = half_a_form("/login/", length=2 * 1024 * 1024)
    chunked = b"POST /login/ HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n"
    with stalled(console, half_a_form("/login/"), 2) as late, stalled(console, too_large, 1) as large:
        status, problem = answer_of(large[0])
        assert (status, problem["code"]) == (413, "body_too_large")
        with stalled(console, chunked + b"10\r\n" + b"x" * 16 + b"\r\n", 1) as dripping:
            dripping[0].sendall(b"1")
            for connection in (*late, *dripping):
                status, problem = answer_of(connection)
                assert (status, problem["code"]) == (408, "body_too_late")
    kinds = set(StrangerCount.objects.values_list("kind", flat=True))
    assert {"body_too_late", "body_too_large"} <= kinds


def test_headers_that_never_end_close_the_connection(console: str) -> None:
    with stalled(console, b"GET / HTTP/1.1\r\nHost: loc", 1) as opened:
        opened[0].settimeout(waits.SECONDS)
        assert opened[0].recv(1) == b""


def test_a_connection_is_kept_a_large_answer_and_a_large_file_pass(console: str) -> None:
    ana = make.analyst()
    token = {"Authorization": f"Bearer {people.make_api_token(ana, 'laptop', by=SYSTEM)}"}
    with httpx2.Client(base_url=console, timeout=waits.SECONDS) as client:
        for _ in range(3):
            assert client.get("/healthz").status_code == 200
        large = client.post(
            "/api/v1/revocations",
            content=b" " * (2 * 1024 * 1024),
            headers={**token, "Content-Type": "application/json"},
        )
        assert large.status_code != 408
        static = client.get("/static/drf_spectacular_sidecar/swagger-ui-dist/swagger-ui-bundle.js")
        assert (static.status_code, len(static.content) > 1_000_000) == (200, True)


def session_of(person: Person) -> dict[str, str]:
    browser = Browser()
    browser.force_login(person)
    return {"Cookie": browser.cookies[settings.SESSION_COOKIE_NAME].OutputString(attrs=[])}


def request(path: str, headers: dict[str, str]) -> bytes:
    lines = [f"GET {path} HTTP/1.1", "Host: localhost", *(f"{name}: {value}" for name, value in headers.items())]
    return ("\r\n".join(lines) + "\r\n\r\n").encode()


@pytest.mark.parametrize("what", ["a megabyte that is not read", "a sign-in at a host that hangs"])
def test_what_one_person_holds_two_dozen_of_keeps_no_other_person_out(console: str, what: str) -> None:
    with socket.create_server(("127.0.0.1", 0), backlog=MANY) as hangs, httpx2.Client(base_url=console) as client:
        mallory, ana = session_of(make.person()), session_of(make.person())
        for each in (mallory, ana):
            assert client.get("/agents/", headers=each).status_code == 200
        client_id = f"http%3A%2F%2Flocalhost%3A{hangs.getsockname()[1]}%2Fclient"
        sign_in = f"/idp/authorize?response_type=code&client_id={client_id}"
        path = sign_in if what.startswith("a sign-in") else "/api/v1/schema"
        with stalled(console, request(path, mallory), 24) as opened:
            assert client.get("/agents/", headers=ana).status_code == 200
            assert path != sign_in or not select.select(opened, [], [], 0)[0], "ana waited until those were answered"
            assert [client.get("/agents/", headers=ana).status_code for _ in range(50)] == [200] * 50


def test_a_node_answers_while_strangers_hold_connections_and_lets_go_of_them(database: None) -> None:  # noqa: ARG001
    it = world.build("http://localhost:1/mcp")
    token = it.token()
    with world.gateway(more=("--header-seconds", str(LATE))) as node:
        allowed = node.call(it, token).status_code
        unfinished = b"POST /gw/time/mcp HTTP/1.1\r\nHost: loc"
        nothing_but_lines = b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n\r\n"
        with stalled(node.base, unfinished, MANY) as headers, stalled(node.base, half_a_form("/gw/time/mcp"), MANY):
            assert soon(node.call(it, token)).status_code == allowed
            assert soon(httpx2.get(f"{node.base}/readyz")).status_code == 200
            with stalled(node.base, nothing_but_lines, 1) as lines:
                for each in (headers[0], headers[-1], lines[0]):
                    each.settimeout(waits.SECONDS)
                    with contextlib.suppress(ConnectionResetError):
                        while each.recv(65536):
                            pass
