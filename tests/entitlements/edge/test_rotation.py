"""A client rotates its own credential: two work in the overlap, never three, and what is too old opens nothing."""

from __future__ import annotations

import base64
import itertools
import json
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from django.db import IntegrityError, transaction

from audit import clock
from audit.models import Event
from entitlements.clients import callers, clients, key_history, rotations
from entitlements.clients.models import Client, ClientCredential
from entitlements.edge.rotation import rotation
from entitlements.feed import locks
from entitlements.feed.models import Change
from entitlements.keys import jws
from tests import make
from tests.entitlements.edge import worlds
from tests.entitlements.edge.worlds import Answer, World

type Later = Callable[[timedelta], None]
NOT_AUTHENTICATED = (401, "invalid_client", "client_not_authenticated")
HOUR, DAY = timedelta(hours=1), timedelta(days=1)


@pytest.fixture
def later(monkeypatch: pytest.MonkeyPatch) -> Later:
    """Move the clock of the edge on."""
    moved = [timedelta()]
    now = clock.now

    def on(by: timedelta) -> None:
        moved[0] += by

    monkeypatch.setattr(clock, "now", lambda: now() + moved[0])
    return on


@pytest.fixture
def secret(world: World) -> str:
    return make.client(world.agent, "secretive", auth="client_secret_basic")[1]


def rotate(world: World, secret: str, **form: str) -> Answer:
    header = "Basic " + base64.b64encode(f"secretive:{secret}".encode()).decode()
    return world.post("/idp/rotate", form, Authorization=header)


def works(world: World, secret: str) -> bool:
    """Whether the client authenticates with this secret: it asks about a token that is none of its own."""
    form = {"client_id": "secretive", "client_secret": secret, "token": "unknown"}
    answer = world.post("/idp/introspect", form)
    assert answer.status == 200 or answer.error == NOT_AUTHENTICATED
    return answer.status == 200


def rotated(answer: Answer) -> str:
    assert answer.status == 200, answer.body
    return str(answer.body["client_secret"])


def events(action: str = "client.credential_rotated") -> list[Event]:
    return list(Event.objects.filter(action=action).order_by("at"))


def test_old_and_new_secret_work_until_the_overlap_ends(world: World, secret: str, later: Later) -> None:
    answer = rotate(world, secret)
    new = rotated(answer)
    assert set(answer.body) == {"client_id", "client_secret", "client_secret_expires_at", "previous_expires_at"}
    assert (works(world, secret), works(world, new)) == (True, True)
    later(DAY - HOUR)
    assert works(world, secret)
    later(HOUR)
    assert (works(world, secret), works(world, new)) == (False, True)
    (event,) = events()
    assert (event.actor, event.detail["replaces_newest"]) == ("agent:expense-bot", False)
    assert new not in json.dumps(event.detail)
    client = Client.objects.get(client_id="secretive")
    assert Change.objects.latest("pk").client_id == client.pk
    assert Change.objects.latest("pk").agent_id == client.agent_id


def test_a_second_rotation_ends_the_oldest_so_that_there_are_never_three(world: World, secret: str) -> None:
    second = rotated(rotate(world, secret))
    third = rotated(rotate(world, second))
    assert [works(world, each) for each in (secret, second, third)] == [False, True, True]


def test_a_lost_answer_is_asked_for_again_and_a_thief_cannot_push_out_the_newest_later(
    world: World, secret: str, later: Later
) -> None:
    lost = rotated(rotate(world, secret))
    new = rotated(rotate(world, secret))
    assert [works(world, each) for each in (secret, lost, new)] == [True, False, True]
    later(timedelta(minutes=10))
    assert rotate(world, secret).error == (400, "invalid_request", "rotated_before")
    assert [works(world, each) for each in (secret, lost, new)] == [True, False, True]
    assert [event.detail["replaces_newest"] for event in events()] == [False, True]
    assert worlds.refusals()[-1].code == "rotated_before"


def test_a_rotation_needs_no_acceptance_and_allows_the_same(world: World, secret: str) -> None:
    rotated(rotate(world, secret))
    accepted, made = ClientCredential.objects.filter(client_id="secretive").order_by("asked_at")
    assert (made.state, made.continues, made.acceptor, made.asked_by) == (
        "rotated",
        accepted.pk,
        None,
        "agent:expense-bot",
    )
    assert (made.api_scopes, made.redirect_uris, made.auth) == (
        accepted.api_scopes,
        accepted.redirect_uris,
        accepted.auth,
    )


@pytest.mark.parametrize(
    "widened",
    [{"api_scopes": ["mandate:read"]}, {"redirect_uris": "https://thief.example/"}, {"secret_sha256": "0" * 64}],
    ids=["scopes", "addresses", "never accepted"],
)
def test_the_database_refuses_a_rotation_that_continues_something_else(secret: str, widened: dict[str, Any]) -> None:
    assert secret
    accepted = ClientCredential.objects.get(client_id="secretive")
    columns = {name: getattr(accepted, name) for name in ("agent", "client_id", "auth", "jwks", "secret_sha256")}
    columns |= {name: getattr(accepted, name) for name in ("redirect_uris", "api_scopes", "asked_at", "answer_by")}
    more: dict[str, Any] = {"state": "rotated", "purpose": "secret", "answered_at": accepted.asked_at}
    if "secret_sha256" in widened:
        Client.objects.filter(client_id="secretive").update(status="disabled")
        Client.objects.filter(client_id="secretive").update(**widened)
        columns["secret_sha256"] = "1" * 64
        widened = {}
    with pytest.raises(IntegrityError, match="does not continue"), transaction.atomic():
        ClientCredential.objects.create(**{**columns, **more, **widened}, continues=accepted.pk)


def test_a_client_that_signs_registers_new_keys_and_both_sign_until_the_overlap_ends(
    world: World, later: Later
) -> None:
    new_key = worlds.new_key("c1")
    jwks = json.dumps(worlds.key_set(new_key))
    answer = world.post("/idp/rotate", {**world.credentials(world.idp), "jwks": jwks})
    assert answer.status == 200, answer.body
    assert answer.body["jwks"] == worlds.key_set(new_key)

    def signs(key: jws.Key) -> bool:
        now = int(clock.now().timestamp())
        form = {"token": "unknown", **world.credentials(world.idp, key=key, iat=now, exp=now + 60)}
        return world.post("/idp/introspect", form).status == 200

    assert (signs(world.client_key), signs(new_key), signs(worlds.new_key("c1"))) == (True, True, False)
    again = world.post("/idp/rotate", {**world.credentials(world.idp), "jwks": jwks})
    assert (again.status, len(events())) == (200, 1)
    assert events()[0].detail["thumbprints"] == [new_key.material.thumbprint()]
    later(DAY)
    assert (signs(world.client_key), signs(new_key)) == (False, True)


def test_an_assertion_that_was_used_to_ask_does_not_rotate(world: World) -> None:
    asked = world.credentials(world.idp)
    assert world.post("/idp/introspect", {"token": "unknown", **asked}).status == 200
    jwks = json.dumps(worlds.key_set(worlds.new_key("of-a-thief")))
    assert world.post("/idp/rotate", {**asked, "jwks": jwks}).error[1] == "invalid_client"
    assert not events()


def test_a_key_is_not_rotated_to_itself(world: World) -> None:
    for keys in ([world.client_key], [world.client_key, worlds.new_key("c9")]):
        form = {**world.credentials(world.idp), "jwks": json.dumps(worlds.key_set(*keys))}
        assert world.post("/idp/rotate", form).error == (400, "invalid_request", "key_is_not_new")
    assert not events()


def test_a_key_that_was_retired_does_not_come_back(world: World) -> None:
    first = world.client_key
    held = [first, worlds.new_key("c2"), worlds.new_key("c3")]
    for old, new in itertools.pairwise(held):
        form = {**world.credentials(world.idp, key=old), "jwks": json.dumps(worlds.key_set(new))}
        assert world.post("/idp/rotate", form).status == 200
    form = {**world.credentials(world.idp, key=held[-1]), "jwks": json.dumps(worlds.key_set(first))}
    assert world.post("/idp/rotate", form).error == (400, "invalid_request", "key_is_not_new")


@pytest.mark.parametrize("jwks", ["", "[]", '{"keys": []}', '{"keys": [1]}', "{", '{"keys": [], "keys": []}'])
def test_unusable_keys_are_refused_and_nothing_is_written(world: World, jwks: str) -> None:
    answer = world.post("/idp/rotate", {**world.credentials(world.idp), "jwks": jwks})
    assert answer.status == 400
    assert len(worlds.refusals()) == 1
    assert not events()


def test_strangers_public_and_disabled_clients_rotate_nothing(world: World, secret: str) -> None:
    assert rotate(world, "wrong").error == NOT_AUTHENTICATED
    make.personal_client("public")
    assert world.post("/idp/rotate", {"client_id": "public"}).error == NOT_AUTHENTICATED
    assert not worlds.refusals()
    clients.disable(Client.objects.get(client_id="secretive"), by=world.alice.principal, reason="Stop.")
    assert rotate(world, secret).error == (401, "invalid_client", "client_disabled")
    assert rotate(world, secret, jwks="{}").status == 401
    assert not events()


def test_a_rotation_by_a_thief_is_undone_by_a_person_who_revokes_it(world: World, secret: str) -> None:
    stolen = rotated(rotate(world, secret))
    client = Client.objects.get(client_id="secretive")
    rotations.revoke_rotation(client, by=world.agent.sponsor.principal, reason="It was not us.")
    assert (works(world, secret), works(world, stolen)) == (True, False)
    assert len(events("client.rotation_revoked")) == 1
    with pytest.raises(rotations.NotRotated):
        rotations.revoke_rotation(client, by=world.agent.sponsor.principal, reason="Again.")
    again = rotated(rotate(world, secret))
    given = clients.rotate_secret(client, by=world.agent.sponsor.principal, reason="Stolen.").secret
    assert [works(world, each) for each in (secret, again, given or "")] == [False, False, True]


@pytest.mark.parametrize("is_of_agent", [True, False])
def test_a_thief_who_rotates_twice_is_not_left_with_the_only_secret(world: World, *, is_of_agent: bool) -> None:
    client, secret = make.client(world.agent if is_of_agent else None, "secretive", auth="client_secret_basic")
    stolen = rotated(rotate(world, rotated(rotate(world, secret))))
    by = world.agent.sponsor.principal
    with pytest.raises(rotations.RotatedAgain):
        rotations.revoke_rotation(client, by=by, reason="It was not us.")
    assert works(world, stolen)
    given = clients.rotate_secret(client, by=by, reason="It was not us.").secret or ""
    assert (works(world, stolen), works(world, given)) == (False, True)


def test_a_rotation_locks_in_the_order_of_the_control_lane(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    caller = callers.by_id(world.client.client_id)
    assert caller is not None
    taken: list[int] = []
    exclusive = locks.exclusive

    def noted(*keys: locks.Key) -> None:
        taken.extend(locks.numbers(keys))
        exclusive(*keys)

    monkeypatch.setattr(locks, "exclusive", noted)
    with transaction.atomic():
        clients.hold_alone(world.client)
    assert rotation.locks_of(caller) == taken


def test_a_secret_that_a_person_gives_leaves_the_one_before_for_the_overlap_where_asked(
    world: World, secret: str, later: Later
) -> None:
    client = Client.objects.get(client_id="secretive")
    by = world.agent.sponsor.principal
    given = clients.rotate_secret(client, by=by, reason="Yearly.", keep_previous=True).secret or ""
    assert (works(world, secret), works(world, given)) == (True, True)
    assert rotate(world, secret).error == (400, "invalid_request", "rotated_before"), "it would push out the given one"
    assert (works(world, secret), works(world, given)) == (True, True)
    later(DAY)
    assert (works(world, secret), works(world, given)) == (False, True)


def test_the_database_lets_no_rotation_replace_what_a_person_gave(
    world: World, secret: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    by = world.agent.sponsor.principal
    given = clients.rotate_secret(
        Client.objects.get(client_id="secretive"), by=by, reason="Leak.", keep_previous=True
    ).secret

    async def yes(*_: object) -> bool:
        return True

    monkeypatch.setattr(key_history, "was_rotated", yes)
    assert rotate(world, secret).status == 503
    assert works(world, given or "")
    assert not events()


def test_a_secret_that_is_too_old_opens_nothing_and_each_try_is_one_event(
    world: World, secret: str, later: Later
) -> None:
    later(timedelta(days=364))
    new = rotated(rotate(world, secret))
    later(timedelta(days=1))
    old = (401, "invalid_client", "credential_too_old")
    tried = {"client_id": "secretive", "token": "unknown"}
    later(timedelta(days=363))
    assert works(world, new)
    later(timedelta(days=1))
    for path in ("/idp/introspect", "/idp/token", "/idp/revoke", "/idp/rotate", "/as/time/token", "/as/time/revoke"):
        assert world.post(path, {**tried, "client_secret": new}).error == old
    assert [event.code for event in worlds.refusals()] == ["credential_too_old"] * 6
    assert {event.actor for event in worlds.refusals()} == {"agent:expense-bot"}
