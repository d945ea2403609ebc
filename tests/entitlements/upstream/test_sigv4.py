"""AWS Signature Version 4 against AWS's own published test suite, and what a change of the request does to it."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from entitlements.upstream import sigv4

CASES: dict[str, dict[str, Any]] = json.loads(Path(__file__).with_name("sigv4_vectors.json").read_text("utf-8"))[
    "cases"
]
SIGNER = sigv4.Signer("AKIDEXAMPLE", "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY", "us-east-1", "service")
AT = datetime(2015, 8, 30, 12, 36, tzinfo=UTC)


def read(case: dict[str, Any]) -> sigv4.Request:
    """Read a request of the suite; a line that begins with a space continues the header before."""
    head, _, body = case["request"].partition("\n\n")
    first, *lines = head.rstrip("\n").split("\n")
    method, _, rest = first.partition(" ")
    path, _, query = rest.rpartition(" ")[0].partition("?")
    headers: list[tuple[str, str]] = []
    for line in lines:
        if line.startswith(" "):
            headers[-1] = (headers[-1][0], f"{headers[-1][1]} {line.strip()}")
            continue
        name, _, value = line.partition(":")
        headers.append((name, value))
    if token := case.get("token"):
        headers.append(("X-Amz-Security-Token", token))
    return sigv4.Request(method, path, query, tuple(headers), body.encode())


@pytest.mark.parametrize("name", CASES)
def test_signatures_are_those_that_aws_publishes(name: str) -> None:
    case = CASES[name]
    signed = sigv4.sign(read(case), SIGNER, AT, normalize=case["normalize"], sends_digest=case["sends_digest"])
    assert signed.signature == case["signature"]


def test_the_suite_is_whole() -> None:
    assert len(CASES) == 38


REQUEST = sigv4.Request("POST", "/mcp", "a=1", (("Host", "h.example"), ("Content-Type", "application/json")), b"{}")


@pytest.mark.parametrize(
    "change",
    [
        {"method": "PUT"},
        {"path": "/other"},
        {"query": "a=2"},
        {"headers": (("Host", "other.example"), ("Content-Type", "application/json"))},
        {"body": b"{ }"},
    ],
)
def test_a_signature_fits_no_other_request(change: dict[str, Any]) -> None:
    assert sigv4.sign(REQUEST, SIGNER, AT).signature != sigv4.sign(replace(REQUEST, **change), SIGNER, AT).signature


def test_the_path_of_s3_is_signed_as_it_is_and_every_other_is_encoded_a_second_time() -> None:
    request = replace(REQUEST, path="/a%20b//c")
    s3 = replace(SIGNER, service="s3")
    assert sigv4.sign(request, s3, AT).signature == sigv4.sign(request, s3, AT, normalize=False).signature
    assert (
        sigv4.sign(request, SIGNER, AT).signature == sigv4.sign(replace(request, path="/a%20b/c"), SIGNER, AT).signature
    )


def test_no_key_shows_in_what_is_printed() -> None:
    assert "wJalr" not in repr(SIGNER)
    signed = sigv4.sign(REQUEST, SIGNER, AT)
    assert signed.signature not in repr(signed)
