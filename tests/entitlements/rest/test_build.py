"""The one request that arguments mean, and the arguments that mean none."""

from __future__ import annotations

from typing import Any

import pytest

from entitlements.codes import Code
from entitlements.rest import headers
from entitlements.rest.build import Compiled
from entitlements.rest.operation import Method, Operation, Parameter, Place, Style
from entitlements.rest.refusals import NotMapped
from tests.entitlements.rest.api import API, TEXT, header, path, query

BUILT: list[tuple[str, dict[str, Any], str]] = [
    ("read", {"id": "a b?#%&é"}, "/items/a%20b%3F%23%25%26%C3%A9"),
    ("start", {"id": 7}, "/items/7:start"),
    ("list", {"q": "a+b c;d", "limit": 3, "open": False}, "/items?limit=3&open=false&q=a%2Bb%20c%3Bd"),
    ("list", {"tag": ["a", "b&c"], "ids": [1, 2]}, "/items?tag=a&tag=b%26c&ids=1,2"),
    ("list", {"words": ["a", "b"], "pipes": ["a", "b"]}, "/items?words=a%20b&pipes=a%7Cb"),
    ("list", {"filter": {"known": True, "x y": "1"}}, "/items?filter%5Bknown%5D=true&filter%5Bx%20y%5D=1"),
    ("simple", {"ids": [1, 2], "c": {"R": 1, "name": "b c"}}, "/simple/1,2/R=1,name=b%20c"),
    ("label", {"ids": [1, 2], "c": {"R": 1}}, "/label/.1.2/.R,1"),
    ("matrix", {"t": "x", "ids": [1, 2], "c": {"R": 1}}, "/matrix/;t=x/;ids=1;ids=2/;c=R,1"),
]


@pytest.mark.parametrize(("tool", "arguments", "target"), BUILT)
def test_arguments_are_written_in_one_way(tool: str, arguments: dict[str, Any], target: str) -> None:
    assert Compiled(API[tool]).build(arguments).target == target


REFUSED: list[tuple[str, dict[str, Any], Code]] = [
    ("read", {}, Code.PARAMETER_MISSING),
    ("read", {"id": ""}, Code.PARAMETER_NOT_VALID),
    ("read", {"id": "."}, Code.PARAMETER_NOT_VALID),
    ("read", {"id": ".."}, Code.PARAMETER_NOT_VALID),
    ("read", {"id": "../x"}, Code.PARAMETER_NOT_VALID),
    ("read", {"id": "a/b"}, Code.PARAMETER_NOT_VALID),
    ("read", {"id": "a\\b"}, Code.PARAMETER_NOT_VALID),
    ("read", {"id": "..;x"}, Code.PARAMETER_NOT_VALID),
    ("read", {"id": "%2e%2e"}, Code.PARAMETER_NOT_VALID),
    ("read", {"id": "a\n"}, Code.PARAMETER_NOT_VALID),
    ("read", {"id": "\ud800"}, Code.PARAMETER_NOT_VALID),
    ("read", {"id": 1}, Code.PARAMETER_NOT_VALID),
    ("read", {"id": None}, Code.PARAMETER_NOT_VALID),
    ("read", {"id": "1", "admin": True}, Code.PARAMETER_NOT_DECLARED),
    ("list", {"ids": []}, Code.PARAMETER_NOT_VALID),
    ("list", {"limit": True}, Code.PARAMETER_NOT_VALID),
    ("list", {"limit": 1.5}, Code.PARAMETER_NOT_VALID),
    ("list", {"words": ["a b"]}, Code.PARAMETER_NOT_VALID),
    ("list", {"pipes": ["a|b"]}, Code.PARAMETER_NOT_VALID),
    ("list", {"colour": {"name": "a,b"}}, Code.PARAMETER_NOT_VALID),
    ("list", {"colour": {"Z": 1}}, Code.PARAMETER_NOT_VALID),
    ("list", {"filter": {"a]": "1"}}, Code.PARAMETER_NOT_VALID),
    ("list", {"x_trace": "a\r\nHost: b"}, Code.PARAMETER_NOT_VALID),
    ("list", {"x_trace": " a"}, Code.PARAMETER_NOT_VALID),
    ("list", {"x_trace": "é"}, Code.PARAMETER_NOT_VALID),
    ("free", {"page": 1, "rest": {"page": "2"}}, Code.PARAMETER_NOT_VALID),
    ("create", {}, Code.PARAMETER_MISSING),
    ("form", {"body": {"admin": "1"}}, Code.BODY_NOT_VALID),
    ("upload", {"body": {"file": "a"}}, Code.PARAMETER_NOT_VALID),
    ("upload", {"body": {"file": "YR=="}}, Code.PARAMETER_NOT_VALID),
    ("put", {"id": 1, "body": "?"}, Code.BODY_NOT_VALID),
]


@pytest.mark.parametrize(("tool", "arguments", "code"), REFUSED)
def test_arguments_that_another_reader_would_take_differently_are_refused(
    tool: str, arguments: dict[str, Any], code: Code
) -> None:
    with pytest.raises(NotMapped) as refused:
        Compiled(API[tool]).build(arguments)
    assert refused.value.code is code


def test_a_label_does_not_become_dots() -> None:
    with pytest.raises(NotMapped):
        Compiled(Operation(Method.GET, "/a/{x}", (path("x", TEXT, Style.LABEL),))).build({"x": "."})


@pytest.mark.parametrize(
    "name", ["Host", "Authorization", "X-Forwarded-For", "Content-Length", "X-HTTP-Method", "X-Amz-Date"]
)
def test_no_operation_declares_a_header_that_steers_the_connection(name: str) -> None:
    with pytest.raises(ValueError, match="header"):
        Compiled(Operation(Method.GET, "/a", (header(name),))).build({})


def test_an_operation_declares_the_header_that_names_the_call_of_an_aws_service() -> None:
    built = Compiled(Operation(Method.POST, "/", (header("X-Amz-Target"),))).build({"x_amz_target": "Ledger.List"})
    assert built.headers == {"X-Amz-Target": "Ledger.List"}


def test_two_parameters_of_one_name_or_argument_are_no_operation() -> None:
    twice = (query("a"), query("a"))
    with pytest.raises(ValueError, match="share"):
        Compiled(Operation(Method.GET, "/a", twice)).build({})
    same = (query("a"), Parameter("b", "a", Place.QUERY, Style.FORM, True, TEXT))  # noqa: FBT003
    with pytest.raises(ValueError, match="one argument"):
        Compiled(Operation(Method.GET, "/a", same)).build({})


def test_an_answer_brings_no_header_that_sets_or_steers_anything() -> None:
    raw = {
        "Content-Type": "application/json", "ETag": '"1"', "X-RateLimit-Remaining": "3", "Set-Cookie": "a=b",
        "Location": "https://inside/", "Access-Control-Allow-Origin": "*", "Server": "x", "Link": "a\r\nb",
        "Transfer-Encoding": "chunked", "WWW-Authenticate": "Basic", "Content-Encoding": "gzip",
    }  # fmt: skip
    assert headers.of_answer(raw) == [
        (b"content-type", b"application/json"), (b"etag", b'"1"'), (b"x-ratelimit-remaining", b"3"),
    ]  # fmt: skip
