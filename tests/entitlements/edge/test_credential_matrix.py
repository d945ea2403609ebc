"""Every way to a token, against a credential that was ended, replaced or narrowed after the way began.

What a person, agent, owner, sponsor, client, system, tool, grant or session does to each stands in `test_matrix.py`.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta

import pytest

from audit.context import SYSTEM
from audit.models import Event
from entitlements.grants import grants
from entitlements.grants.models import Grant
from entitlements.keys import signing
from entitlements.people.models import Identity
from entitlements.token_families import families
from entitlements.token_families.models import TokenFamily
from entitlements.tokens.models import IssuedToken
from entitlements.trusted_issuers import trust
from tests import make
from tests.entitlements.edge import test_matrix, worlds
from tests.entitlements.edge.test_matrix import AT_IDENTITY_SIDE, LASTING, PATHS, WHY
from tests.entitlements.edge.worlds import Answer, World

WRITE = "time:write"


def _end_family(_world: World) -> None:
    for family in TokenFamily.objects.filter(ended_at=None):
        families.revoke(family.pk, by=SYSTEM, reason=WHY)


def _let_family_expire(_world: World) -> None:
    family = TokenFamily.objects.get()
    ago = timedelta(days=40)
    TokenFamily.objects.filter(pk=family.pk).update(
        started_at=family.started_at - ago, expires_at=family.expires_at - ago
    )


def _let_family_idle(_world: World) -> None:
    family = TokenFamily.objects.get()
    TokenFamily.objects.filter(pk=family.pk).update(last_used_at=family.last_used_at - timedelta(days=15))


def _end_issuer(world: World) -> None:
    trust.end(world.issuer, by=SYSTEM, reason=WHY)


def _unlink_person(world: World) -> None:
    Identity.objects.filter(person=world.alice).delete()


def _withdraw_key_of_identity_side(_world: World) -> None:
    signing.withdraw(signing.active_kid("idp"), by=SYSTEM, reason=WHY)


SPOILERS: dict[Callable[[World], None], dict[str, str]] = {
    _end_family: dict.fromkeys(LASTING, "token_family_ended"),
    _let_family_expire: dict.fromkeys(LASTING, "token_family_expired"),
    _let_family_idle: dict.fromkeys(LASTING, "token_family_expired"),
    _end_issuer: dict.fromkeys(("token exchange", "token exchange in a session"), "issuer_not_trusted"),
    _unlink_person: dict.fromkeys(("token exchange", "token exchange in a session"), "person_unknown"),
    _withdraw_key_of_identity_side: {"jwt-bearer": "token_invalid"},
}
"""What ends a credential, and by which ways it would have counted. No other way reads it."""
CASES = [(path, spoil) for spoil, refused in SPOILERS.items() for path in refused]


@pytest.mark.parametrize(("path", "spoil"), CASES, ids=[f"{path}: {spoil.__name__[1:]}" for path, spoil in CASES])
def test_a_credential_that_ended_is_refused_with_one_event(
    world: World, path: str, spoil: Callable[[World], None]
) -> None:
    attempt = PATHS[path](world)
    spoil(world)
    before = test_matrix.changed()

    answer = attempt()

    assert answer.status == 400
    assert answer.body["code"] == SPOILERS[spoil][path]
    assert "access_token" not in answer.body
    assert test_matrix.changed() == before
    assert [event.code for event in worlds.refusals()] == [answer.body["code"]]


UNTOUCHED = [(path, spoil) for spoil, refused in SPOILERS.items() for path in PATHS if path not in refused]


def _needs(spoil: Callable[[World], None], path: str) -> bool:
    return spoil not in (_let_family_expire, _let_family_idle) or path in LASTING


@pytest.mark.parametrize(
    ("path", "spoil"),
    [(path, spoil) for path, spoil in UNTOUCHED if _needs(spoil, path)],
    ids=[f"{path}: {spoil.__name__[1:]}" for path, spoil in UNTOUCHED if _needs(spoil, path)],
)
def test_a_credential_that_ended_stops_no_way_that_stands_on_another(
    world: World, path: str, spoil: Callable[[World], None]
) -> None:
    attempt = PATHS[path](world)
    spoil(world)
    assert attempt().status == 200


@pytest.mark.parametrize("path", [path for path in PATHS if path not in ("code at a system", "refresh")])
def test_a_client_whose_key_was_replaced_is_a_stranger_with_the_one_before(world: World, path: str) -> None:
    attempt = PATHS[path](world)
    make.rewrite(world.client, jwks=worlds.key_set(worlds.new_key("c2")))
    before = (test_matrix.changed(), Event.objects.count())

    answer = attempt()

    assert answer.error == (401, "invalid_client", "client_not_authenticated")
    assert (test_matrix.changed(), Event.objects.count()) == before, "it is counted, and nothing is written"


@pytest.mark.parametrize("path", [path for path in PATHS if path not in AT_IDENTITY_SIDE])
def test_what_was_narrowed_is_in_no_token(world: World, path: str) -> None:
    wide = make.entitlement(world.system, scope=WRITE)
    more = make.grant(world.agent, wide, people=[world.alice])
    alone = make.grant(world.agent, wide)
    attempt = PATHS[path](world)
    for grant in (more, alone):
        grants.revoke(grant.pk, by=SYSTEM, reason=WHY)

    answer: Answer = attempt()

    assert (answer.status, answer.body["scope"]) == (200, "time:read")
    token = IssuedToken.objects.get(pk=worlds.peek(answer.body["access_token"])["jti"])
    drawn = set(token.draws_on.values_list("grant", flat=True))
    assert drawn == set(Grant.objects.filter(pk__in=drawn, entitlement=world.entitlement).values_list("pk", flat=True))


@pytest.mark.parametrize("path", LASTING)
def test_a_refresh_token_that_was_rotated_away_ends_what_it_belongs_to(world: World, path: str) -> None:
    attempt = PATHS[path](world)
    family = TokenFamily.objects.get()
    long_ago = family.started_at - timedelta(minutes=5)
    retired = [long_ago, *family.retired]
    TokenFamily.objects.filter(pk=family.pk).update(generation=family.generation + 1, retired=retired)

    answer = attempt()

    assert answer.error[1:] == ("invalid_grant", "refresh_token_reused")
    family.refresh_from_db()
    assert family.ended_at is not None
    assert [event.code for event in worlds.refusals()] == ["refresh_token_reused"]
