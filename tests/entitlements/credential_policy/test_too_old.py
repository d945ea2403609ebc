"""A personal token or a directory's token that is too old opens nothing: one event of whose it is."""

from __future__ import annotations

import importlib
from datetime import timedelta

import pytest
from django.db import connection
from django.test import Client as Browser

from audit import clock
from audit.context import SYSTEM
from audit.models import Event
from entitlements.credential_policy import policy
from entitlements.credential_policy.models import CredentialPolicy
from entitlements.credential_policy.rules import DEFAULT_DAYS, Kind
from entitlements.people import people
from entitlements.people.models import ApiToken
from entitlements.people_sources import sources
from entitlements.people_sources.models import PeopleSource
from tests import make

pytestmark = pytest.mark.django_db

AGES = [(364, True), (365, False)]


@pytest.fixture(autouse=True)
def no_grace() -> None:
    """Let the product's own policy be older than what a test makes: no upgrade spares it."""
    CredentialPolicy.objects.all().delete()


def opens(path: str, token: str, actor: str) -> bool:
    """Whether a token opens an address; where it does not, that is one event of the actor, and of no stranger."""
    before = Event.objects.count()
    answer = Browser().get(path, headers={"Authorization": f"Bearer {token}"})
    if answer.status_code == 200:
        return True
    assert (answer.status_code, answer["WWW-Authenticate"]) == (401, 'Bearer realm="mandate"')
    assert Event.objects.count() == before + 1
    event = Event.objects.order_by("-at").first()
    assert event is not None
    assert (event.code, event.actor, event.outcome) == ("credential_too_old", actor, "refused")
    return False


@pytest.mark.parametrize(("days", "expected"), AGES)
def test_a_personal_token_opens_the_api_until_its_age_is_over(days: int, expected: bool) -> None:  # noqa: FBT001
    person = make.person("ana")
    token = people.make_api_token(person, "script", lasts=timedelta(days=2000), by=person.principal)
    ApiToken.objects.update(created_at=clock.now() - timedelta(days=days))
    assert opens("/api/v1/me", token, "person:ana") is expected


@pytest.mark.parametrize(("days", "expected"), AGES)
def test_a_directory_is_let_in_until_its_token_is_too_old_and_another_lets_it_in_again(
    days: int,
    expected: bool,  # noqa: FBT001
) -> None:
    source, token = sources.make("okta", name="Okta", subjects_of=None, by=SYSTEM)
    PeopleSource.objects.update(token_made_at=clock.now() - timedelta(days=days))
    assert opens("/scim/v2/Users", token, "source:okta") is expected
    assert opens("/scim/v2/Users", sources.rotate(source, by=SYSTEM), "source:okta")


def test_the_first_policy_ends_nothing_for_ninety_days() -> None:
    migration = importlib.import_module("entitlements.migrations.0001_tables")
    with connection.cursor() as cursor:
        cursor.execute(migration.POLICY)
    in_force, old = policy.current(), clock.now() - timedelta(days=1000)
    assert {limit.days for limit in in_force.limits.values()} == {365, 730}
    assert {kind: limit.days for kind, limit in in_force.limits.items()} == DEFAULT_DAYS
    for kind in Kind:
        assert timedelta(days=89) < in_force.ends_at(kind, old) - clock.now() <= timedelta(days=90)


def test_a_shorter_age_ends_nothing_at_once_and_holds_for_what_is_made_afterwards() -> None:
    person = make.person("ana")
    token = people.make_api_token(person, "script", lasts=timedelta(days=2000), by=person.principal)
    ApiToken.objects.update(created_at=clock.now() - timedelta(days=100))
    days = {**DEFAULT_DAYS, Kind.PERSONAL_TOKEN: 10}
    policy.publish(
        days,
        overlap_hours=24,
        stops_upstream_secrets=False,
        by=SYSTEM,
        proposed_by="person:ana",
        reason="Shorter.",
    )
    made = clock.now() - timedelta(days=100)
    in_force = policy.current()
    assert opens("/api/v1/me", token, "person:ana")
    assert in_force.ends_at(Kind.PERSONAL_TOKEN, made) - clock.now() > timedelta(days=29)
    later = clock.now() + timedelta(seconds=1)
    assert in_force.ends_at(Kind.PERSONAL_TOKEN, later) == later + timedelta(days=10)


@pytest.mark.parametrize(
    ("days", "hours"),
    [({Kind.CLIENT_KEY: 1}, 24), (DEFAULT_DAYS, 0), (DEFAULT_DAYS, 721), ({**DEFAULT_DAYS, Kind.CLIENT_KEY: 0}, 24)],
)
def test_a_policy_out_of_bounds_is_refused(days: dict[Kind, int], hours: int) -> None:
    with pytest.raises(policy.OutOfBounds):
        policy.publish(
            days, overlap_hours=hours, stops_upstream_secrets=False, by=SYSTEM, proposed_by="person:a", reason="x"
        )
