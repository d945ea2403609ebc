"""What the database's functions for token families refuse to write, for any caller."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import Any
from uuid import uuid4

import psycopg
import pytest
from django.db import connection

from audit import clock
from audit.actions import Action
from audit.draft import Draft
from entitlements.feed import locks
from entitlements.feed.locks import Lock
from entitlements.sessions.models import Session
from entitlements.token_families.models import TokenFamily
from entitlements.tokens import issue_family_token, issue_token, revoke_family
from entitlements.tokens.issue_family_token import FamilyStep
from entitlements.tokens.issue_token import Answer, Claim, Outcome
from entitlements.tokens.models import IssuedToken, UsedAssertion
from entitlements.tokens.revoke_family import FamilyRevocation
from tests import make, shared
from tests.entitlements.tokens import nodes
from tests.entitlements.tokens.nodes import Node

pytestmark = pytest.mark.django_db

made_world, world = shared.world(nodes.node)


@pytest.fixture
def family(world: Node) -> TokenFamily:
    world.mint(row=world.row(session=uuid4(), begins=world.begins()))
    return make.token_family(Session.objects.get(), world.grant.entitlement.system)


def called(statement: str, parameters: list[Any]) -> Answer:
    connection.ensure_connection()
    with psycopg.Cursor(connection.connection) as cursor:
        row = cursor.execute(statement, parameters).fetchone()
    assert row is not None
    return issue_token.answer(row)


def refresh(world: Node, family: TokenFamily, client: int | None = None, generation: int = 1) -> Answer:
    row = world.row(session=family.session_id)
    issued = nodes.event(Action.TOKEN_ISSUED, f"token:{row.jti}")
    basis = world.basis() if client is None else world.basis(client=client)
    token = issue_token.mint(basis, row, issued, uuid4())
    step = FamilyStep(family.pk, generation, rotates=True)
    return called(issue_family_token.PSYCOPG, issue_family_token.parameters(token, step))


def end(family: TokenFamily, event: Draft, client: int | None = None, proof: Claim | None = None) -> Answer:
    lock = locks.number(Lock.TOKEN_FAMILY, family.pk)
    ending = FamilyRevocation(clock.now(), client or family.client_id, "stolen", family.pk, lock)
    return called(revoke_family.PSYCOPG, revoke_family.parameters(ending, event, uuid4(), proof))


def revoked() -> Draft:
    return nodes.event(Action.TOKEN_FAMILY_REVOKED)


def test_a_family_is_refreshed_by_its_client_while_it_lives_at_its_generation(world: Node, family: TokenFamily) -> None:
    other, row = make.client(world.agent)[0], TokenFamily.objects.filter(pk=family.pk)
    refused = [refresh(world, family, client=other.pk), refresh(world, family, generation=2)]
    for ended in ({"expires_at": clock.now()}, {"ended_at": clock.now(), "end_reason": "x"}):
        row.update(**ended)
        refused.append(refresh(world, family))
        row.update(expires_at=family.expires_at, ended_at=None, end_reason="")
    assert {(each.outcome, each.code) for each in refused} == {(Outcome.BEHIND, "family")}
    assert not IssuedToken.objects.filter(family=family.pk).exists()
    assert refresh(world, family).outcome is Outcome.ISSUED


def test_of_the_generations_before_the_last_128_are_known(world: Node, family: TokenFamily) -> None:
    before = [clock.now() - timedelta(minutes=minute) for minute in range(1, 129)]
    TokenFamily.objects.update(retired=before)
    refresh(world, family)
    retired = TokenFamily.objects.get().retired
    assert (len(retired), retired[1:]) == (128, before[:-1])


def test_a_family_is_ended_once_by_its_client_and_only_with_the_record_of_it(world: Node, family: TokenFamily) -> None:
    other = make.client(world.agent)[0]
    assert end(family, revoked(), client=other.pk).outcome is Outcome.BEHIND
    proof = nodes.claim("p", "client:c")
    UsedAssertion.objects.create(issuer=proof.issuer, jti=proof.jti, expires_at=proof.expires)
    assert end(family, revoked(), proof=proof).outcome is Outcome.REPLAYED
    assert TokenFamily.objects.get().ended_at is None
    assert [end(family, revoked()).outcome for _ in range(2)] == [Outcome.REVOKED, Outcome.BEHIND]


def test_the_end_of_a_family_changes_no_token_that_had_ended_before(world: Node, family: TokenFamily) -> None:
    for generation in (1, 2, 3):
        refresh(world, family, generation=generation)
    revoked_before, over, live = IssuedToken.objects.filter(family=family.pk)
    long_ago = clock.now() - timedelta(hours=1)
    IssuedToken.objects.filter(pk=revoked_before.pk).update(revoked_at=clock.now(), revoke_reason="before")
    IssuedToken.objects.filter(pk=over.pk).update(issued_at=long_ago, expires_at=long_ago + timedelta(minutes=5))
    end(family, revoked())
    reasons = dict(IssuedToken.objects.values_list("pk", "revoke_reason"))
    assert [reasons[each.pk] for each in (revoked_before, over, live)] == ["before", "", "stolen"]
    assert IssuedToken.objects.exclude(family=family.pk).get().revoked_at is None


@pytest.mark.parametrize("event", ["of something else", "that says another action"])
def test_a_function_records_no_event_but_its_own(family: TokenFamily, event: str) -> None:
    strange = nodes.event(Action.GRANT_REVOKED)
    if event == "that says another action":
        strange = replace(strange, action=Action.TOKEN_FAMILY_REVOKED)
    with pytest.raises(psycopg.errors.InvalidParameterValue):
        end(family, strange)
