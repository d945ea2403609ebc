"""A POST to an upstream: the gate before its first byte, its connection, and answers that are none."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import aiohttp
import pytest
from pytest_django.fixtures import Settings

from entitlements.upstream import egress
from entitlements.upstream.endpoint import Answer, Endpoint

pytestmark = pytest.mark.enable_socket
OK = b"HTTP/1.1 200 OK\r\nContent-Type: Application/JSON; charset=utf-8\r\nContent-Length: 2\r\n\r\n{}"
HEADERS = {"Mcp-Name": "get"}


@pytest.fixture(autouse=True)
def on_this_machine(settings: Settings) -> None:
    settings.DEMO = True


class Upstream:
    """A server that answers each request with the next of its answers, and keeps what it read."""

    def __init__(self, *answers: bytes, reads_bodies: bool = True) -> None:
        self.answers, self.reads_bodies = list(answers), reads_bodies
        self.connections = 0
        self.read = b""

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        try:
            while self.answers:
                head = await reader.readuntil(b"\r\n\r\n")
                self.read += head
                if self.reads_bodies:
                    length = int(head.partition(b"Content-Length: ")[2].partition(b"\r\n")[0])
                    self.read += await reader.readexactly(length)
                writer.write(self.answers.pop(0))
            await asyncio.sleep(0 if self.reads_bodies else 0.2)
        except asyncio.IncompleteReadError:
            pass  # the client left
        finally:
            writer.transport.abort() if not self.reads_bodies else writer.close()


def played[T](upstream: Upstream, play: Callable[[Endpoint, aiohttp.ClientSession], Awaitable[T]]) -> T:
    """Run `play` against a server on this machine."""

    async def run() -> T:
        server = await asyncio.start_server(upstream.serve, "127.0.0.1", 0)
        port = server.sockets[0].getsockname()[1]
        async with egress.client(seconds=0.5) as http:
            result = await play(Endpoint(f"http://127.0.0.1:{port}/mcp?one=1"), http)
        server.close()
        await server.wait_closed()
        return result

    return asyncio.run(run())


async def whole(answer: Answer) -> tuple[int, str, bytes]:
    return answer.status, answer.content_type, await egress.read(answer, 1000)


def test_a_request_is_one_post_with_our_headers_and_no_others() -> None:
    upstream = Upstream(OK)
    found = played(upstream, lambda endpoint, http: endpoint.post(http, HEADERS, b'{"a":1}', whole))
    assert found == (200, "application/json", b"{}")
    request, host, *rest = upstream.read.split(b"\r\n")
    assert request == b"POST /mcp?one=1 HTTP/1.1"
    assert host.startswith(b"Host: 127.0.0.1:")
    assert rest == [b"Mcp-Name: get", b"Content-Length: 7", b"", b'{"a":1}']


def test_what_the_gate_raises_comes_when_a_connection_is_there_and_before_any_byte() -> None:
    upstream = Upstream(OK)

    class ClosedGateError(Exception):
        pass

    async def play(endpoint: Endpoint, http: aiohttp.ClientSession) -> None:
        def gate() -> None:
            assert http.connector is not None
            assert http.connector._acquired
            raise ClosedGateError

        with pytest.raises(ClosedGateError):
            await endpoint.post(http, HEADERS, b"{}", whole, gate=gate)
        await asyncio.sleep(0.05)

    played(upstream, play)
    assert (upstream.connections, upstream.read) == (1, b"")


def test_a_connection_is_used_again_after_the_end_of_an_answer_and_closed_without() -> None:
    upstream = Upstream(OK, OK, OK)

    async def status(answer: Answer) -> int:
        return answer.status

    async def play(endpoint: Endpoint, http: aiohttp.ClientSession) -> None:
        for _ in range(2):
            await endpoint.post(http, HEADERS, b"{}", whole)
        upstream.answers[0] = OK[:-1]  # its last byte never comes
        assert await endpoint.post(http, HEADERS, b"{}", status) == 200
        upstream.answers.append(OK)
        await endpoint.post(http, HEADERS, b"{}", whole)

    played(upstream, play)
    assert upstream.connections == 2


def test_a_connection_whose_request_was_not_read_to_its_end_is_not_used_again() -> None:
    upstream = Upstream(OK, OK, reads_bodies=False)

    async def play(endpoint: Endpoint, http: aiohttp.ClientSession) -> None:
        await endpoint.post(http, HEADERS, b"x" * 30_000_000, whole)
        await endpoint.post(http, HEADERS, b"{}", whole)

    played(upstream, play)
    assert upstream.connections == 2


@pytest.mark.parametrize("broken", ["a\r\nMcp-Method: x", "a\nb", "a\x00"])
def test_a_header_that_would_be_two_is_never_sent(broken: str) -> None:
    upstream = Upstream(OK)

    async def play(endpoint: Endpoint, http: aiohttp.ClientSession) -> None:
        with pytest.raises(ValueError, match="line end"):
            await endpoint.post(http, {"Mcp-Name": broken}, b"{}", whole)

    played(upstream, play)
    assert upstream.connections == 0


def test_an_interim_answer_is_passed_over() -> None:
    upstream = Upstream(b"HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n" + OK)
    found = played(upstream, lambda endpoint, http: endpoint.post(http, HEADERS, b"{}", whole))
    assert found[0] == 200


@pytest.mark.parametrize("answer", [b"SSH-2.0-OpenSSH_9\r\n\r\n", b"HTTP/1.1 200 OK\r\nContent-Length: x\r\n\r\n", b""])
def test_what_is_no_answer_is_an_error_of_the_client(answer: bytes) -> None:
    upstream = Upstream(answer)

    async def play(endpoint: Endpoint, http: aiohttp.ClientSession) -> None:
        with pytest.raises(aiohttp.ClientError):
            await endpoint.post(http, HEADERS, b"{}", whole)

    played(upstream, play)


def test_the_time_of_the_pool_bounds_the_whole_request() -> None:
    upstream = Upstream(b"HTTP/1.1 100 Continue\r\n\r\n", reads_bodies=False)

    async def play(endpoint: Endpoint, _: aiohttp.ClientSession) -> None:
        async with egress.client(seconds=0.05) as hasty:
            with pytest.raises(TimeoutError):
                await endpoint.post(hasty, HEADERS, b"{}", whole)
            assert not hasty.connector._acquired  # type: ignore[union-attr]

    played(upstream, play)


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost"])
def test_an_address_that_is_not_public_is_not_connected_to(settings: Settings, host: str) -> None:
    settings.DEMO = False
    upstream = Upstream(OK)

    async def play(endpoint: Endpoint, http: aiohttp.ClientSession) -> Any:  # noqa: ANN401
        inner = Endpoint(str(endpoint._url.with_host(host)))
        with pytest.raises((egress.ForbiddenAddress, aiohttp.ClientError, OSError)) as raised:
            await inner.post(http, HEADERS, b"{}", whole)
        return egress._forbidden(raised.value)

    assert isinstance(played(upstream, play), egress.PrivateAddress)
    assert upstream.connections == 0


def test_a_pool_that_was_closed_meanwhile_is_a_lost_connection() -> None:
    upstream = Upstream(OK)

    async def play(endpoint: Endpoint, http: aiohttp.ClientSession) -> None:
        await http.close()
        with pytest.raises(aiohttp.ClientConnectionError):
            await endpoint.post(http, HEADERS, b"{}", whole)

    played(upstream, play)
    assert upstream.connections == 0
