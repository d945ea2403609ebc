"""Raw bytes and forged tokens at a real gateway node: nothing is smuggled past it, and no forgery calls anything."""

from __future__ import annotations

import json
import socket
import time
from urllib.parse import urlsplit

import pytest

from audit.context import SYSTEM
from entitlements import addresses
from entitlements.catalog import systems
from entitlements.keys import jws, signing
from entitlements.tokens.models import IssuedToken
from tests import own_keys, waits
from tests.attacks import jose
from tests.attacks.jose import Genuine, part
from tests.entitlements.edge.worlds import header, new_key, peek
from tests.nodes.gateway import world as worlds
from tests.nodes.gateway.world import META, MODERN, Gateway, World


@pytest.fixture(scope="module")
def here(node: Gateway) -> World:  # noqa: ARG001 - the database is open while the node runs
    return worlds.build("http://localhost:1/mcp")


def _message(world: World) -> bytes:
    params = {"_meta": META, "name": world.tool.name, "arguments": world.arguments}
    return json.dumps({"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": params}).encode()


def _head(world: World, *lines: str, token: str = "") -> bytes:
    said = [
        f"POST /gw/{world.system.slug}/mcp HTTP/1.1",
        "Host: localhost",
        "Content-Type: application/json",
        "Accept: application/json, text/event-stream",
        f"Authorization: Bearer {token or world.token()}",
        f"MCP-Protocol-Version: {MODERN}",
        "Mcp-Method: tools/call",
        f"Mcp-Name: {world.tool.name}",
        *lines,
    ]
    return "\r\n".join(said).encode() + b"\r\n\r\n"


def _send(node: Gateway, raw: bytes) -> list[int]:
    """Send bytes and return the status of each answer that comes back on the connection."""
    where = urlsplit(node.base)
    with socket.create_connection((str(where.hostname), where.port or 0), timeout=waits.SECONDS) as line:
        line.sendall(raw)
        said = b""
        while True:
            try:
                part = line.recv(65536)
            except TimeoutError:
                break
            except ConnectionResetError:
                break
            if not part:
                break
            said += part
            line.settimeout(waits.MOMENT)  # for another answer
    return [int(piece[:3]) for piece in said.split(b"HTTP/1.1 ")[1:]]


def _chunked(body: bytes) -> bytes:
    return f"{len(body):x}\r\n".encode() + body + b"\r\n0\r\n\r\n"


def test_two_lengths_are_never_two_messages(node: Gateway, here: World) -> None:
    """Whatever a proxy before us took for the body: at most one message is answered, and then the line is closed."""
    message, calls = _message(here), len(here.calls())
    inner = _head(here, f"Content-Length: {len(message)}") + message
    attacks = {
        "length and chunks": _head(here, "Content-Length: 5", "Transfer-Encoding: chunked") + _chunked(message) + inner,
        "chunks and length": _head(here, "Transfer-Encoding: chunked", "Content-Length: 5") + _chunked(message) + inner,
        "two lengths": _head(here, "Content-Length: 0", f"Content-Length: {len(inner)}") + inner,
        "lengths in one": _head(here, f"Content-Length: 0, {len(inner)}") + inner,
        "plus": _head(here, f"Content-Length: +{len(message)}") + message,
        "minus": _head(here, "Content-Length: -1") + message,
        "space before the colon": _head(here, f"Content-Length : {len(message)}") + message,
        "other coding": _head(here, "Transfer-Encoding: xchunked") + _chunked(message),
        "coding twice": _head(here, "Transfer-Encoding: identity", "Transfer-Encoding: chunked") + _chunked(message),
        "tab in coding": _head(here, "Transfer-Encoding:\x0bchunked") + _chunked(message),
        "chunk size with a sign": _head(here, "Transfer-Encoding: chunked") + b"+5\r\nhello\r\n0\r\n\r\n",
        "chunk size of hex 0x": _head(here, "Transfer-Encoding: chunked") + b"0x5\r\nhello\r\n0\r\n\r\n",
    }
    for name, raw in attacks.items():
        answers = _send(node, raw)
        assert len(answers) <= 1, (name, answers)
        assert not answers or answers[0] >= 400 or name in ("length and chunks", "chunks and length"), (name, answers)
    assert len(here.calls()) - calls <= 2 * 2, "one call at most for each that has a whole message, with its outcome"


def test_a_header_that_parsers_read_differently_is_refused(node: Gateway, here: World) -> None:
    message = _message(here)
    length = f"Content-Length: {len(message)}"
    attacks = {
        "folded": ["X-A: b\r\n c", length],
        "folded name": [f"Mcp-Name:\r\n {here.tool.name}x", length],
        "nul": ["X-A: b\x00c", length],
        "bare return": ["X-A: b\rX-B: c", length],
        "no name": [": x", length],
        "name with a space": ["X A: b", length],
        "authorization twice": ["Authorization: Bearer x", length],
        "method twice": ["Mcp-Method: tools/list", length],
        "name twice": ["Mcp-Name: other", length],
        "version twice": ["MCP-Protocol-Version: 2025-06-18", length],
    }
    for name, lines in attacks.items():
        answers = _send(node, _head(here, *lines) + message)
        assert len(answers) <= 1, (name, answers)
        assert not answers or 400 <= answers[0] < 500, (name, answers)
    assert worlds.is_ready(node.base, node.child), "and the node goes on"


def test_the_line_of_a_request_may_name_no_other_place(node: Gateway, here: World) -> None:
    message = _message(here)
    rest = _head(here, f"Content-Length: {len(message)}").partition(b"\r\n")[2] + message
    slug = here.system.slug.encode()
    for line in (
        b"POST http://evil.example/gw/" + slug + b"/mcp HTTP/1.1\x00",
        b"POST /gw/" + slug + b"/../" + slug + b"x/mcp HTTP/1.1",
        b"POST /gw/" + slug + b"%2f..%2fother/mcp HTTP/1.1",
        b"POST /gw/" + slug + b"/mcp HTTP/2.0",
        b"POST  /gw/" + slug + b"/mcp HTTP/1.1 x",
        b"CONNECT evil.example:443 HTTP/1.1",
        b"TRACE /gw/" + slug + b"/mcp HTTP/1.1",
    ):
        answers = _send(node, line + b"\r\n" + rest)
        assert len(answers) <= 1, line
        assert not answers or answers[0] >= 400, (line, answers)


def _with_header(token: str, **more: str) -> str:
    """Say more in the header of a good token, with its signature as it was."""
    said = {**header(token), **more}
    return part(said) + "." + token.partition(".")[2]


def _genuine(token: str) -> Genuine:
    return Genuine(token, own_keys.held(header(token)["kid"]))


def _refused(node: Gateway, here: World, wrong: dict[str, str]) -> None:
    """See that the gateway refuses each of these tokens, and that none of them calls the tool."""
    link = "tool:" + here.system.slug + "/" + here.tool.name
    before = here.calls(link)
    for name, token in wrong.items():
        if not token.isascii() or len(token) > 60_000:
            continue
        answer = node.call(here, token) if token.strip() else node.modern(here.system.slug, "tools/list", None)
        assert answer.status_code in (400, 401, 403, 431), (name, answer.status_code, answer.text)
        assert "result" not in answer.text or "isError" in answer.text, name
    assert "call.allowed" not in here.calls(link)[len(before) :]


@pytest.mark.usefixtures("short_rsa_keys")
@pytest.mark.parametrize("algorithm", ["EdDSA", "RS256"])
def test_no_other_signature_calls_anything_whatever_the_algorithm(node: Gateway, algorithm: str) -> None:
    here = worlds.build("http://localhost:1/mcp")
    systems.edit_system(here.system, signing_algorithm=algorithm, by=SYSTEM)
    genuine = _genuine(here.token())
    assert genuine.header["alg"] == algorithm
    _refused(node, here, jose.signatures(genuine))
    assert node.call(here, genuine.signed()).status_code not in (400, 401, 403)


def test_a_token_of_a_million_bytes_is_refused_at_the_door(node: Gateway, here: World) -> None:
    genuine = _genuine(here.token())
    for token in (genuine.with_signature(b"\x00" * jose.MILLION), "." * jose.MILLION):
        answers = _send(node, _head(here, "Content-Length: 0", token=token))
        assert all(status in (400, 401, 413, 431) for status in answers), answers
    assert node.call(here, genuine.token).status_code not in (400, 401, 403)


def test_no_forged_token_calls_anything(node: Gateway, here: World) -> None:
    other = worlds.build("http://localhost:1/mcp")
    good, mine = here.token(), new_key("mine")
    claims = peek(good)
    now = int(time.time())
    partner = jws.sign({**claims, "iss": "https://partner.example"}, mine, "at+jwt")
    wrong = {
        **jose.forms(_genuine(good)),
        **jose.signatures(_genuine(good)),
        "a thumbprint": _with_header(good, **{"x5t#S256": "AA"}),
        "another hash": _with_header(good, alg="RS256"),
        "another issuer's key": signing.sign("idp", claims, "at+jwt"),
        "another system's key": signing.sign(f"as/{other.system.slug}", claims, "at+jwt"),
        "another issuer": partner,
        "another system's token": other.token(),
        "for another audience": here.token(aud=worlds.resource(other.system)),
        "for several audiences": here.token(aud=[worlds.resource(other.system), "https://evil.example"]),
        "for nobody": here.token(aud=None),
        "no longer": here.token(exp=now - 1, iat=now - 400),
        "not yet": here.token(nbf=now + 600),
        "never ending": here.token(exp=None),
        "of no client": here.token(client_id=None),
        "another client's": here.token(client_id=other.client.client_id),
        "of another type": here.token(typ="JWT"),
        "an id-jag": here.token(typ="oauth-id-jag+jwt"),
        "an id token": signing.sign("idp", {**claims, "iss": addresses.issuer("idp")}, "JWT"),
        "a receipt": here.token(typ="mandate-receipt+jwt"),
        "by the system": str(SYSTEM),
        "empty": " ",
    }
    _refused(node, here, wrong)
    assert IssuedToken.objects.filter(jti=claims["jti"], revoked_at=None).exists(), "nor is the good one ended"
