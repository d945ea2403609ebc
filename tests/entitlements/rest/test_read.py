"""What a request means: one operation and its arguments, or nothing, with a code that says why."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from entitlements.codes import Code
from entitlements.rest.operation import Method, Operation
from entitlements.rest.read import Incoming, Operations
from entitlements.rest.refusals import NotMapped
from tests.entitlements.rest.api import API, OPERATIONS, asked, path

MEANT: dict[str, tuple[Incoming, str, dict[str, Any]]] = {
    "concrete before templated": (asked("GET", "/items/me"), "own", {}),
    "a templated segment": (asked("GET", "/items/m%65e"), "read", {"id": "mee"}),
    "an encoded literal": (asked("GET", "/items/%6De"), "own", {}),
    "more concrete in one segment": (asked("GET", "/items/me/parts/3"), "own part", {"part": 3}),
    "a text beside the parameter": (asked("POST", "/items/7:start"), "start", {"id": 7}),
    "plus is a space": (asked("GET", "/items?q=a+b%2Bc"), "list", {"q": "a b+c"}),
    "an exploded array": (asked("GET", "/items?tag=a&tag=b"), "list", {"tag": ["a", "b"]}),
    "an array in one": (asked("GET", "/items?ids=1,2%2C3"), "list", {"ids": [1, 2, 3]}),
    "spaces": (asked("GET", "/items?words=a%20b+c"), "list", {"words": ["a", "b", "c"]}),
    "pipes": (asked("GET", "/items?pipes=a|b%7Cc"), "list", {"pipes": ["a", "b", "c"]}),
    "a deep object": (
        asked("GET", "/items?filter[known]=true&filter%5Bx%5D=1"), "list", {"filter": {"known": True, "x": "1"}},
    ),
    "an object in one": (asked("GET", "/items?colour=R,1,name,x"), "list", {"colour": {"R": 1, "name": "x"}}),
    "an object spread": (asked("GET", "/items?R=1&name=x"), "list", {"spread": {"R": 1, "name": "x"}}),
    "what is left": (
        asked("GET", "/free?page=1&known=false&z=%C3%A9"), "free", {"page": 1, "rest": {"known": False, "z": "é"}},
    ),
    "numbers": (asked("GET", "/items?price=-1.5e3&limit=-7"), "list", {"price": -1500.0, "limit": -7}),
    "declared headers": (
        asked("GET", "/items", b"", "", (b"x-ids", b"1, 2"), (b"user-agent", b"x"), (b"x-colour", b"R=1,name=b")),
        "list", {"x_ids": [1, 2], "x_colour": {"R": 1, "name": "b"}},
    ),
    "simple": (asked("GET", "/simple/1,2/R=3,name=b"), "simple", {"ids": [1, 2], "c": {"R": 3, "name": "b"}}),
    "label": (asked("GET", "/label/.1.2/.R,3"), "label", {"ids": [1, 2], "c": {"R": 3}}),
    "matrix": (
        asked("GET", "/matrix/;t=x/;ids=1;ids=2/;c=R,3"), "matrix", {"t": "x", "ids": [1, 2], "c": {"R": 3}},
    ),
    "JSON": (asked("POST", "/items", b'{"a": [1]}', "application/json; charset=utf-8"), "create", {"body": {"a": [1]}}),
    "no body where none is needed": (asked("PATCH", "/items/1"), "change", {"id": "1"}),
    "a form": (
        asked("POST", "/form?n=1", b"text=a+b&tags=x&tags=y&ids=1,2&about=%7B%22k%22%3Anull%7D",
              "application/x-www-form-urlencoded"),
        "form", {"n": 1, "body": {"text": "a b", "tags": ["x", "y"], "ids": [1, 2], "about": {"k": None}}},
    ),
    "parts": (
        asked("POST", "/upload",
              b'--b\r\nContent-Disposition: form-data; name="title"\r\n\r\nhello\r\n'
              b'--b\r\nContent-Disposition: form-data; name="file"; filename="x.png"\r\nContent-Type: image/png\r\n\r\n'
              b"\x00\r\n\r\n1\r\n--b--\r\n", "multipart/form-data; boundary=b"),
        "upload", {"body": {"title": "hello", "file": "AA0KDQox"}},
    ),
    "octets": (asked("PUT", "/raw/1", b"\x00\xff", "application/octet-stream"), "put", {"id": 1, "body": "AP8="}),
}  # fmt: skip


@pytest.mark.parametrize("case", MEANT)
def test_a_request_means_one_operation_and_its_arguments(case: str) -> None:
    request, tool, arguments = MEANT[case]
    mapped = OPERATIONS.read(request)
    assert (mapped.tool, mapped.arguments) == (tool, arguments)


FORM, JSON = "application/x-www-form-urlencoded", "application/json"
REFUSED: dict[str, tuple[Incoming, Code]] = {
    "an encoded slash": (asked("GET", "/items/..%2fsecret"), Code.PATH_MALFORMED),
    "an encoded slash alone": (asked("GET", "/items/a%2Fb"), Code.PATH_MALFORMED),
    "encoded dots": (asked("GET", "/items/%2e%2e"), Code.PATH_MALFORMED),
    "half encoded dots": (asked("GET", "/items/.%2E/items"), Code.PATH_MALFORMED),
    "dots": (asked("GET", "/items/../items"), Code.PATH_MALFORMED),
    "one dot": (asked("GET", "/items/."), Code.PATH_MALFORMED),
    "double encoding": (asked("GET", "/items/%252e%252e"), Code.PATH_MALFORMED),
    "double encoding of a slash": (asked("GET", "/items/a%252Fb"), Code.PATH_MALFORMED),
    "a backslash": (asked("GET", "/items/a\\b"), Code.PATH_MALFORMED),
    "an encoded backslash": (asked("GET", "/items/a%5Cb"), Code.PATH_MALFORMED),
    "NUL": (asked("GET", "/items/a%00"), Code.PATH_MALFORMED),
    "a line end": (asked("GET", "/items/a%0d%0aHost:x"), Code.PATH_MALFORMED),
    "overlong UTF-8": (asked("GET", "/items/%c0%ae%c0%ae"), Code.PATH_MALFORMED),
    "an overlong slash": (asked("GET", "/items/a%c0%afb"), Code.PATH_MALFORMED),
    "broken UTF-8": (asked("GET", "/items/%ff"), Code.PATH_MALFORMED),
    "half a surrogate": (asked("GET", "/items/%ed%a0%80"), Code.PATH_MALFORMED),
    "raw octets": (asked("GET", "/items/é"), Code.PATH_MALFORMED),
    "a broken escape": (asked("GET", "/items/%2"), Code.PATH_MALFORMED),
    "an empty segment": (asked("GET", "/items//parts/1"), Code.PATH_MALFORMED),
    "an empty value": (asked("GET", "/items/"), Code.OPERATION_UNKNOWN),
    "a semicolon": (asked("GET", "/items/a;admin=true"), Code.PARAMETER_NOT_VALID),
    "an encoded semicolon": (asked("GET", "/items/a%3Badmin"), Code.PARAMETER_NOT_VALID),
    "a semicolon after a literal": (asked("GET", "/items;x=1"), Code.OPERATION_UNKNOWN),
    "another matrix parameter": (asked("GET", "/matrix/;u=x/;ids=1/;c=R,3"), Code.PARAMETER_NOT_VALID),
    "another case": (asked("GET", "/Items"), Code.OPERATION_UNKNOWN),
    "a method that is not declared": (asked("DELETE", "/items"), Code.OPERATION_UNKNOWN),
    "a method in lower case": (asked("get", "/items"), Code.OPERATION_UNKNOWN),
    "two that fit equally": (asked("GET", "/near/start/end"), Code.OPERATION_AMBIGUOUS),
    "an undeclared parameter": (asked("GET", "/items?admin=1"), Code.PARAMETER_NOT_DECLARED),
    "a parameter in another case": (asked("GET", "/items?Limit=1"), Code.PARAMETER_NOT_DECLARED),
    "a property that is not declared": (asked("GET", "/items?colour=Z,1"), Code.PARAMETER_NOT_VALID),
    "a repeated parameter": (asked("GET", "/items?limit=1&limit=2"), Code.PARAMETER_REPEATED),
    "a repeated array in one": (asked("GET", "/items?ids=1&ids=2"), Code.PARAMETER_REPEATED),
    "a repeated property": (asked("GET", "/items?R=1&R=2"), Code.PARAMETER_REPEATED),
    "a repeated deep property": (asked("GET", "/items?filter[x]=1&filter[x]=2"), Code.PARAMETER_REPEATED),
    "a repeated name behind an escape": (asked("GET", "/items?limit=1&%6Cimit=2"), Code.PARAMETER_REPEATED),
    "a deeper object": (asked("GET", "/items?filter[x][y]=1"), Code.PARAMETER_NOT_DECLARED),
    "a deep object in one": (asked("GET", "/items?filter=x"), Code.PARAMETER_NOT_DECLARED),
    "a semicolon between parameters": (asked("GET", "/items?limit=1;open=true"), Code.PARAMETER_NOT_VALID),
    "no value": (asked("GET", "/items?open"), Code.PARAMETER_NOT_VALID),
    "no pair": (asked("GET", "/items?limit=1&&open=true"), Code.PARAMETER_NOT_VALID),
    "a missing parameter": (asked("GET", "/free"), Code.PARAMETER_MISSING),
    "a leading zero": (asked("GET", "/items?limit=01"), Code.PARAMETER_NOT_VALID),
    "minus zero": (asked("GET", "/items?limit=-0"), Code.PARAMETER_NOT_VALID),
    "a plus sign": (asked("GET", "/items?limit=%2B1"), Code.PARAMETER_NOT_VALID),
    "a space": (asked("GET", "/items?limit=1%20"), Code.PARAMETER_NOT_VALID),
    "other digits": (asked("GET", "/items?limit=%D9%A1"), Code.PARAMETER_NOT_VALID),
    "an integer as a float": (asked("GET", "/items?limit=1.0"), Code.PARAMETER_NOT_VALID),
    "a number beyond all": (asked("GET", "/items?price=1e999"), Code.PARAMETER_NOT_VALID),
    "not a number": (asked("GET", "/items?price=NaN"), Code.PARAMETER_NOT_VALID),
    "a long number": (asked("GET", f"/items?limit=1{'0' * 400}"), Code.PARAMETER_NOT_VALID),
    "a boolean in another case": (asked("GET", "/items?open=True"), Code.PARAMETER_NOT_VALID),
    "NUL in a query": (asked("GET", "/items?q=%00"), Code.PARAMETER_NOT_VALID),
    "broken UTF-8 in a query": (asked("GET", "/items?q=%C0%80"), Code.PARAMETER_NOT_VALID),
    "a repeated header": (
        asked("GET", "/items", b"", "", (b"x-trace", b"a"), (b"X-Trace", b"b")), Code.PARAMETER_REPEATED,
    ),
    "two content types": (
        asked("POST", "/items", b"1", JSON, (b"content-type", b"text/plain")), Code.PARAMETER_REPEATED,
    ),
    "two lengths": (
        asked("POST", "/items", b"1", JSON, (b"content-length", b"1"), (b"transfer-encoding", b"chunked")),
        Code.PARAMETER_REPEATED,
    ),
    "another method in a header": (
        asked("GET", "/items", b"", "", (b"x-http-method-override", b"DELETE")), Code.HEADER_NOT_DECLARED,
    ),
    "another path in a header": (asked("GET", "/items", b"", "", (b"X-Original-URL", b"/x")), Code.HEADER_NOT_DECLARED),
    "a condition": (asked("GET", "/items", b"", "", (b"if-match", b"x")), Code.HEADER_NOT_DECLARED),
    "a cookie": (asked("GET", "/items", b"", "", (b"cookie", b"a=b")), Code.HEADER_NOT_DECLARED),
    "an encoded body": (
        asked("POST", "/items", b"1", JSON, (b"content-encoding", b"gzip")), Code.HEADER_NOT_DECLARED,
    ),
    "a header beyond ASCII": (asked("GET", "/items", b"", "", (b"x-trace", b"\xe9")), Code.PARAMETER_NOT_VALID),
    "another content type": (asked("POST", "/items", b"a=1", FORM), Code.BODY_TYPE_NOT_DECLARED),
    "another charset": (asked("POST", "/items", b"{}", f"{JSON}; charset=utf-16"), Code.BODY_TYPE_NOT_DECLARED),
    "no content type": (asked("POST", "/items", b"{}"), Code.BODY_TYPE_NOT_DECLARED),
    "no body": (asked("POST", "/items"), Code.PARAMETER_MISSING),
    "a body where none is taken": (asked("GET", "/items", b"{}", JSON), Code.BODY_NOT_VALID),
    "a name twice": (asked("POST", "/items", b'{"a":1,"a":2}', JSON), Code.BODY_NOT_VALID),
    "two values": (asked("POST", "/items", b"1 2", JSON), Code.BODY_NOT_VALID),
    "a huge number": (asked("POST", "/items", b"1e999", JSON), Code.BODY_NOT_VALID),
    "a field that is not declared": (asked("POST", "/form", b"admin=1", FORM), Code.PARAMETER_NOT_DECLARED),
    "a field twice": (asked("POST", "/form", b"text=a&text=b", FORM), Code.PARAMETER_REPEATED),
    "a part that is not declared": (
        asked("POST", "/upload", b'--b\r\nContent-Disposition: form-data; name="x"\r\n\r\n1\r\n--b--\r\n',
              "multipart/form-data; boundary=b"), Code.PARAMETER_NOT_DECLARED,
    ),
    "a part twice": (
        asked("POST", "/upload", b'--b\r\nContent-Disposition: form-data; name="title"\r\n\r\n1\r\n' * 2 + b"--b--\r\n",
              "multipart/form-data; boundary=b"), Code.PARAMETER_REPEATED,
    ),
    "a second boundary in a part": (
        asked("POST", "/upload", b'--b\r\nContent-Disposition: form-data; name="title"\r\n\r\n1\n--b\r\n--b--\r\n',
              "multipart/form-data; boundary=b"), Code.BODY_NOT_VALID,
    ),
    "something before the parts": (
        asked("POST", "/upload", b"x\r\n--b--", "multipart/form-data; boundary=b"), Code.BODY_NOT_VALID,
    ),
    "a part with two names": (
        asked("POST", "/upload",
              b'--b\r\nContent-Disposition: form-data; name="title"; name="file"\r\n\r\n1\r\n--b--\r\n',
              "multipart/form-data; boundary=b"), Code.BODY_NOT_VALID,
    ),
    "no boundary": (asked("POST", "/upload", b"--b--", "multipart/form-data"), Code.BODY_TYPE_NOT_DECLARED),
}  # fmt: skip


@pytest.mark.parametrize("case", REFUSED)
def test_what_could_mean_something_else_is_refused(case: str) -> None:
    request, code = REFUSED[case]
    with pytest.raises(NotMapped) as refused:
        OPERATIONS.read(request)
    assert refused.value.code is code


def test_an_argument_does_not_lead_to_another_operation() -> None:
    with pytest.raises(NotMapped) as refused:
        OPERATIONS.build("read", {"id": "me"})
    assert refused.value.code is Code.OPERATION_AMBIGUOUS
    assert OPERATIONS.build("read", {"id": "mE"}).path == "/items/mE"


def test_an_operation_that_nobody_approved_still_bars_its_path() -> None:
    waiting = Operations({"read": API["read"]}, [("own", API["own"])])
    with pytest.raises(NotMapped):
        waiting.build("read", {"id": "me"})
    assert waiting.read(asked("GET", "/items/me")).tool == "own"
    assert "own" not in waiting
    with pytest.raises(NotMapped):
        waiting.build("own", {})


@pytest.mark.parametrize(
    ("template", "value"), [("/items/me", "me"), ("/items/{a}...{b}", "x...y"), ("/items/m{rest}", "me")]
)
def test_an_operation_that_the_import_refused_bars_its_path(template: str, value: str) -> None:
    known = Operations({"read": API["read"]}, refused=[("GET", template), ("DELETE", "/items/free")])
    with pytest.raises(NotMapped) as refused:
        known.build("read", {"id": value})
    assert refused.value.code is Code.OPERATION_AMBIGUOUS
    with pytest.raises(NotMapped) as refused:
        known.read(asked("GET", f"/items/{value}"))
    assert refused.value.code is Code.OPERATION_UNKNOWN
    assert known.build("read", {"id": "free"}).path == "/items/free", "another method is another operation"


def test_a_tool_keeps_its_own_path_though_a_document_has_it_too() -> None:
    known = Operations({"read": API["read"]}, refused=[("GET", "/items/{other}"), ("GET", "no path")])
    assert known.read(asked("GET", "/items/7")).tool == "read"


def test_another_form_of_an_operation_at_its_own_place_leaves_it_as_it_was_approved() -> None:
    wider = msgspec.structs.replace(API["read"], answers=("text/plain",))
    changed = Operations({"read": API["read"]}, [("read", wider)])
    mapped = changed.read(asked("GET", "/items/1"))
    assert mapped.tool == "read"
    assert changed.build("read", mapped.arguments).target == "/items/1"
    assert changed.operation("read").answers == API["read"].answers


def test_a_changed_operation_waits_for_its_review() -> None:
    changed = Operations({"read": API["read"]}, [("read", API["nested"])])
    assert changed.read(asked("GET", "/items/1")).tool == "read"
    with pytest.raises(NotMapped) as refused:
        changed.read(asked("GET", "/items/1/parts/2"))
    assert refused.value.code is Code.OPERATION_UNKNOWN


@pytest.mark.parametrize("template", ["items", "/a/{x}{y}", "/a/{z}", "/a//b", "/a/..", "/a/%2F", "/a/{x", "/a"])
def test_a_template_without_a_single_reading_is_never_called(template: str) -> None:
    broken = Operations({"tool": Operation(Method.GET, template, (path("x"), path("y")))})
    assert broken.broken == {"tool"}
    with pytest.raises(NotMapped):
        broken.build("tool", {"x": "1", "y": "2"})
