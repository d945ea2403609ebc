"""An address is compared to the letter; of a loopback the port is left out."""

from __future__ import annotations

import pytest

from entitlements.clients import redirects

REGISTERED = [
    "http://127.0.0.1/callback",
    "http://[::1]:7777/callback",
    "http://localhost/callback?from=here",
    "https://app.example/back",
]


@pytest.mark.parametrize(
    "asked",
    [
        *REGISTERED,
        "http://127.0.0.1:1/callback",
        "http://127.0.0.1:65535/callback",
        "http://[::1]/callback",
        "http://[::1]:5/callback",
        "http://localhost:8080/callback?from=here",
    ],
)
def test_it_is_allowed(asked: str) -> None:
    assert redirects.allows(REGISTERED, asked)


@pytest.mark.parametrize(
    "asked",
    [
        "",
        "http://127.0.0.1:0/callback",
        "http://127.0.0.1:65536/callback",
        "http://127.0.0.1:80:80/callback",
        "http://127.0.0.1:/callback",
        "http://127.0.0.1:\uff18\uff10/callback",
        "http://127.0.0.1/callback/",
        "http://127.0.0.1/Callback",
        "http://127.0.0.1/callback?x=1",
        "http://127.0.0.1/callback#x",
        "http://127.0.0.1/../callback",
        "http://127.0.0.1/callback\n",
        "http://127.0.0.1:1@evil.example/callback",
        "http://user@127.0.0.1/callback",
        "http://127.0.0.1.evil.example/callback",
        "http://127.0.0.2/callback",
        "http://127.1/callback",
        "http://localhost/callback",
        "http://LOCALHOST/callback?from=here",
        "http://localhost.evil.example/callback?from=here",
        "http://[::2]/callback",
        "http://[0:0:0:0:0:0:0:1]/callback",
        "HTTP://127.0.0.1/callback",
        "https://127.0.0.1/callback",
        "https://app.example:443/back",
        "https://app.example:8443/back",
        "https://APP.example/back",
        "https://app.example/back/../back",
        "https://app.example/back?",
        "https://app.example/back%2f",
        "//app.example/back",
        "https:/app.example/back",
        "https://app.example\\@evil.example/back",
    ],
)
def test_it_is_not(asked: str) -> None:
    assert not redirects.allows(REGISTERED, asked)


def test_nothing_is_allowed_where_nothing_is_registered() -> None:
    assert not redirects.allows([], "http://127.0.0.1/callback")


def test_no_address_with_a_fragment_is_allowed_even_where_it_is_registered() -> None:
    assert not redirects.allows(["https://app.example/back#x"], "https://app.example/back#x")
