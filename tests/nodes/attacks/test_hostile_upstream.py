"""A malicious MCP server answers: the call fails and is recorded as such, and what is secret stays so."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest
from aiohttp import web

from entitlements.secrets import vault
from tests import waits
from tests.nodes.gateway import scripted, world
from tests.nodes.gateway.scripted import Scripted
from tests.nodes.gateway.world import Gateway, World

SECRET = 'k/"0815"\\geheim'
BODIES = {
    "deep": b'{"jsonrpc":"2.0","id":1,"result":{"content":' + b"[" * 200_000 + b"]" * 200_000 + b"}}",
    "bytes": b'{"jsonrpc":"2.0","id":1,"method":"\xff\xfe"}',
    "number": b'{"jsonrpc":"2.0","id":1,"error":{"code":' + b"9" * 5000 + b',"message":"x"}}',
    "list": b'{"jsonrpc":"2.0","id":1,"result":[]}',
    "nothing": b"",
}


class Hostile(Scripted):
    """Answers a call with the bytes that its argument names, with its own number in them."""

    async def act(self, request: web.Request, body: dict[str, Any], do: str) -> web.StreamResponse:
        if do == "echo":
            said = request.headers["authorization"].removeprefix("Bearer ")
            escaped = "".join(f"\\u{ord(letter):04x}" for letter in said)
            slashed = json.dumps(said).replace("/", "\\/")
            text = f'{{"jsonrpc":"2.0","id":{body["id"]},"result":{{"content":[],"a":"{escaped}","b":{slashed}}}}}'
            return web.Response(text=text, content_type="application/json")
        answer = BODIES[do].replace(b'"id":1,', f'"id":{body["id"]},'.encode())
        return web.Response(body=answer, content_type="application/json")


@pytest.fixture(scope="module")
def hostile() -> Iterator[Scripted]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(scripted, "Scripted", Hostile)
        with scripted.upstream() as server:
            yield server


def behind(server: Scripted) -> World:
    return world.build(server.url, SECRET, tool="act", schema={"type": "object"})


@pytest.mark.parametrize("body", sorted(BODIES))
def test_an_answer_that_cannot_be_read_fails_the_call_and_is_in_the_record(
    node: Gateway, hostile: Scripted, body: str
) -> None:
    here = behind(hostile)

    answer = node.call(here, do=body)

    assert (answer.status_code, answer.json()["error"]["data"]["code"]) == (502, "upstream_unavailable")
    waits.until(lambda: len(here.calls()) > 1)
    assert here.calls() == ["call.allowed", "call.indeterminate"]


def test_a_credential_that_comes_back_in_other_letters_is_taken_out(node: Gateway, hostile: Scripted) -> None:
    answer = node.call(behind(hostile), do="echo")

    assert answer.status_code == 200
    result = answer.json()["result"]
    assert (result["a"], result["b"]) == ("[removed]", "[removed]")
    assert "0815" not in answer.text


@pytest.mark.parametrize("text", [b'{"a":"k\\/1234567"}', b'{"\\u006b/1234567":1}', b'"x k/1234567 y"'])
def test_a_secret_is_found_however_json_writes_it(text: bytes) -> None:
    credential = vault.Credential("Authorization", "Bearer k/1234567", b"k/1234567")

    assert b"1234567" not in credential.removed_from(text)


def test_a_text_without_the_secret_is_passed_on_byte_by_byte() -> None:
    credential = vault.Credential("Authorization", "Bearer k/1234567", b"k/1234567")
    text = b'{"a": 1.0000000000000000001, "b": "\\u00e9\\/"}'

    assert credential.removed_from(text) is text
