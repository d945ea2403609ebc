"""What hostile or careless callers send: each gets a problem document, and nothing gets a 500."""

from __future__ import annotations

import pytest
from django.test import Client

from entitlements.agents.models import Agent
from tests import make
from tests.entitlements.api import client

pytestmark = pytest.mark.django_db


def _post(body: bytes, content_type: str = "application/json", path: str = "/api/v1/agents") -> tuple[int, str]:
    sender, headers = client.raw(make.analyst())
    answer = sender.post(path, body, content_type=content_type, **headers)
    assert answer["Content-Type"] == "application/problem+json"
    return answer.status_code, answer.json()["code"]


@pytest.mark.parametrize(
    "body",
    [
        b'{"slug": "a", "slug": "b"}',
        b'{"slug": 1e400}',
        b'{"slug": NaN}',
        b'{"slug": "\\ud800"}',
        b'{"slug": "\xff"}',
        b"[" * 100_000,
        b'{"a":' * 2_000 + b"1" + b"}" * 2_000,
        b"{",
        b"[]",
        b'"text"',
        b"{}x",
        b'{"slug": "' + b"a" * 1_100_000 + b'"}',
    ],
    ids=lambda body: body[:20].decode("latin-1"),
)
def test_json_that_somebody_could_read_differently_is_refused(body: bytes) -> None:
    status, code = _post(body)
    assert status == 400
    assert code in {"malformed", "malformed_call"}


def test_a_form_is_no_json() -> None:
    assert _post(b"slug=a", "application/x-www-form-urlencoded") == (415, "unsupported_media_type")


def test_unknown_fields_are_refused_also_deep_inside() -> None:
    ana = client.of(make.analyst())
    body = {"slug": "a", "name": "A", "kind": "shared", "sponsor": make.person().login, "status": "active"}

    answer = ana.post("/api/v1/agents", body)
    nested = ana.post("/api/v1/revocations", {"target": {"type": "agent", "id": "a", "force": True}, "reason": "x"})

    assert (answer.status_code, answer.json()["code"]) == (400, "unknown_field")
    assert answer.json()["errors"][0]["pointer"] == "/status"
    assert (nested.json()["code"], nested.json()["errors"][0]["pointer"]) == ("unknown_field", "/target/force")
    assert not Agent.objects.exists()


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("slug", "Äpfel"),
        ("slug", "UPPER"),
        ("slug", "a_b"),
        ("slug", "../x"),
        ("slug", "x" * 65),
        ("slug", 7),
        ("name", "nul\x00"),
        ("name", ["x"]),
        ("name", ""),
        ("kind", "root"),
        ("purpose", "x" * 501),
        ("sponsor", None),
    ],
)
def test_a_field_of_another_form_is_refused_by_name(field: str, value: object) -> None:
    body = {"slug": "a", "name": "A", "kind": "shared", "sponsor": "s", field: value}

    answer = client.of(make.analyst()).post("/api/v1/agents", body)

    assert (answer.status_code, answer.json()["code"]) == (400, "invalid")
    assert {each["pointer"] for each in answer.json()["errors"]} == {f"/{field}"}


@pytest.mark.parametrize(
    ("query", "code"),
    [
        ("agnet=x", "unknown_parameter"),
        ("agent=a&agent=b", "repeated_parameter"),
        ("limit=0", "limit_malformed"),
        ("limit=201", "limit_malformed"),
        ("limit=\u0661", "limit_malformed"),
        ("cursor=x", "cursor_malformed"),
        ("state=nonsense", "invalid"),
        ("agent=%00", "invalid"),
    ],
)
def test_a_query_that_is_not_understood_is_refused(query: str, code: str) -> None:
    answer = client.of(make.analyst()).get(f"/api/v1/grants?{query}")

    assert (answer.status_code, answer.json()["code"]) == (400, code)


def test_a_method_that_is_not_offered_is_405_even_for_strangers() -> None:
    for method in ("DELETE", "OPTIONS", "TRACE", "PUT"):
        answer = Client().generic(method, "/api/v1/grants")
        assert answer.status_code == 405


def test_every_answer_carries_a_request_id_is_not_stored_and_follows_the_trace_of_the_caller() -> None:
    trace = "4bf92f3577b34da6a3ce929d0e0e4736"
    ana = client.of(make.analyst())
    agent = make.agent()

    answer = ana.post(
        f"/api/v1/agents/{agent.slug}/suspend", {"reason": "odd"}, headers={"traceparent": f"00-{trace}-{'1' * 16}-01"}
    )
    events = ana.get(f"/api/v1/audit-events?about=trace:{trace}").json()["results"]

    assert answer["Cache-Control"] == "no-store"
    assert [(event["action"], event["request_id"]) for event in events] == [("agent.suspended", answer["X-Request-Id"])]


def test_an_unacceptable_form_of_answer_is_a_problem_too() -> None:
    answer = client.of(make.analyst()).get("/api/v1/grants", headers={"Accept": "text/csv"})
    assert (answer.status_code, answer["Content-Type"]) == (406, "application/problem+json")
