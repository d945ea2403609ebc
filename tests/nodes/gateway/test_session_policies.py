"""Session policies at the gateway: each term at a call, at both nodes within two seconds, answered as RFC 9470."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import httpx2
import pytest
from django.utils import timezone

from entitlements.authentication import MULTI_FACTOR, PASSWORD
from entitlements.sessions.models import Session
from tests import waits
from tests.entitlements.session_policies import agreed
from tests.nodes.gateway import world
from tests.nodes.gateway.world import Gateway, World

MINUTE = timedelta(minutes=1)
"""Seconds after a confirmation in which each node holds sessions to the policy."""


@pytest.fixture(scope="module")
def second(database: None) -> Iterator[Gateway]:  # noqa: ARG001
    with world.gateway("node-2") as running:
        yield running


def token(here: World, **session: Any) -> str:  # noqa: ANN401 - columns
    """Return a token of a session that was signed in to a minute ago, with two factors."""
    made = here.token()
    now = timezone.now()
    usual = {"signed_in_at": now - MINUTE, "acr": MULTI_FACTOR, "amr": "otp mfa", "last_used_at": now}
    Session.objects.update(**{**usual, **session})
    return made


def asked(answer: httpx2.Response) -> str:
    assert answer.status_code == 401, answer.text
    return str(answer.headers["www-authenticate"])


@pytest.fixture(autouse=True)
def none_left(database: None) -> Iterator[None]:  # noqa: ARG001
    """End the policies of a test: the database may serve other modules after it."""
    yield
    agreed.end()


def confirm(**terms: Any) -> None:  # noqa: ANN401 - of the policy
    agreed.in_force(**terms)


TERMS: dict[str, tuple[dict[str, Any], dict[str, Any], str]] = {
    "idle": ({"idle": 10 * MINUTE}, {"last_used_at": -11 * MINUTE}, 'max_age="60"'),
    "absolute": ({"idle": 10 * MINUTE, "absolute": 20 * MINUTE}, {"started_at": -21 * MINUTE}, 'max_age="60"'),
    "max_age": ({"max_age": 30 * MINUTE}, {"signed_in_at": -31 * MINUTE}, 'max_age="1800"'),
    "unknown": ({"max_age": 30 * MINUTE}, {"signed_in_at": None}, 'max_age="1800"'),
    "acr": ({"acr": [MULTI_FACTOR]}, {"acr": PASSWORD, "amr": "pwd"}, f'acr_values="{MULTI_FACTOR}"'),
    "amr": ({"amr": ["otp"]}, {"amr": "mfa"}, f'acr_values="{MULTI_FACTOR}"'),
}


def test_each_term_is_asked_at_the_next_call_at_both_nodes(node: Gateway, second: Gateway, here: World) -> None:
    for name, (terms, spoiled, parameter) in TERMS.items():
        now = timezone.now()
        mine = token(here, **{of: now + to if isinstance(to, timedelta) else to for of, to in spoiled.items()})
        for each in (node, second):
            assert each.call(here, mine).status_code == 200, name
        confirm(**terms)
        waits.until(lambda mine=mine: all(each.call(here, mine).status_code == 401 for each in (node, second)))  # type: ignore[misc]
        for each in (node, second):
            answer = asked(each.call(here, mine))
            assert 'error="insufficient_user_authentication"' in answer, name
            if name not in ("idle", "absolute"):
                assert parameter in answer, (name, answer)
            else:
                assert "max_age=" in answer, (name, answer)
        assert here.calls()[-1] == "call.denied"
        agreed.end()
        waits.until(lambda mine=mine: all(each.call(here, mine).status_code == 200 for each in (node, second)))  # type: ignore[misc]


def test_a_session_that_meets_the_policy_calls_on_and_lists(node: Gateway, here: World) -> None:
    mine = token(here)
    confirm(idle=10 * MINUTE, absolute=30 * MINUTE, max_age=30 * MINUTE, acr=[MULTI_FACTOR], amr=["otp"])
    assert node.call(here, mine).status_code == 200


def test_a_session_that_was_used_at_another_node_meanwhile_is_not_idle(node: Gateway, here: World) -> None:
    mine = token(here, last_used_at=timezone.now() - 11 * MINUTE)
    confirm(idle=10 * MINUTE)
    waits.until(lambda: node.call(here, mine).status_code == 401)
    Session.objects.update(last_used_at=timezone.now())  # a token was issued elsewhere: the feed says nothing of that
    assert node.call(here, mine).status_code == 200
