"""Decoy credentials at the endpoints of the issuers and at our API: refused like wrong ones, recorded, and a risk."""

from __future__ import annotations

import base64
from typing import Any

import pytest
from django.test import Client as Browser

from audit.models import Event
from entitlements.decoys import credentials, decoys
from entitlements.decoys.models import Decoy
from entitlements.risk.models import RiskSignal
from governance.decoys import follow
from tests import make
from tests.entitlements.decoys import planted
from tests.entitlements.edge.worlds import World

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def _nothing_lately(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(credentials, "RECENT", credentials.RecentTouches())


def touches(decoy: Decoy) -> list[Event]:
    return list(Event.objects.filter(action="decoy.touched", links__contains=[f"decoy:{decoy.pk}"]))


@pytest.mark.parametrize("path", ["/idp/token", "/as/{}/token", "/as/{}/introspect", "/as/{}/revoke"])
@pytest.mark.parametrize("way", ["basic", "post"])
def test_a_client_secret_is_refused_like_a_wrong_one_and_recorded_once_a_minute(
    world: World, path: str, way: str
) -> None:
    made = planted.credential(world.agent, "client_secret")
    form = {"grant_type": "client_credentials", "token": "x"}

    def send(name: str, secret: str) -> Any:  # noqa: ANN401 - an answer
        where = path.format(world.system.slug)
        if way == "post":
            return world.post(where, {**form, "client_id": name, "client_secret": secret})
        basic = base64.b64encode(f"{name}:{secret}".encode()).decode()
        return world.post(where, form, authorization=f"Basic {basic}")

    wrong, answer = send("some-client", "x" * 43), send(made.decoy.name, made.secret)
    send(made.decoy.name, made.secret)
    assert (answer.status, answer.body) == (wrong.status, wrong.body)
    (event,) = touches(made.decoy)
    assert (event.code, event.detail["door"]) == ("credential_refused", path.rpartition("/")[2])
    assert follow.follow_touches() == 1
    signal = RiskSignal.objects.get(agent=world.agent)
    assert (signal.kind, signal.level, signal.outcome) == ("decoy_touched", "high", "observed")
    assert "the wiki" in signal.reason


def test_a_client_that_asks_about_a_decoy_token_hears_that_it_is_inactive_and_is_named(world: World) -> None:
    made = planted.credential(world.agent)
    form = {"token": made.secret, **world.credentials(world.audience)}
    assert world.post(f"/as/{world.system.slug}/introspect", form).body == {"active": False}
    (event,) = touches(made.decoy)
    assert f"agent:{world.agent.slug}" in event.links
    assert any(link.startswith("client:") for link in event.links)


def test_a_decoy_token_at_our_api_is_refused_like_a_wrong_one(world: World) -> None:
    made = planted.credential(world.agent)

    def send(token: str) -> Any:  # noqa: ANN401 - an answer
        return Browser().get("/api/v1/agents", headers={"authorization": f"Bearer {token}"})

    wrong, answer = send("mdt_" + "x" * 43), send(made.secret)
    assert answer.status_code == wrong.status_code == 401
    assert {**answer.json(), "request_id": ""} == {**wrong.json(), "request_id": ""}
    assert [event.detail["door"] for event in touches(made.decoy)] == ["api"]


def test_an_ended_credential_is_a_wrong_one_like_any_other(world: World) -> None:
    made = planted.credential(world.agent)
    decoys.end(made.decoy.pk, by=make.security(), reason="over")
    form = {"token": made.secret, **world.credentials(world.audience)}
    assert world.post(f"/as/{world.system.slug}/introspect", form).body == {"active": False}
    assert touches(made.decoy) == []
