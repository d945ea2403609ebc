"""The age of credentials changes by two people, and those responsible are warned before a credential ends."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any

import pytest

from audit import clock
from audit.context import SYSTEM
from audit.models import Event
from entitlements.clients import clients
from entitlements.clients.models import Client
from entitlements.credential_policy import policy
from entitlements.credential_policy.models import CredentialPolicy
from entitlements.credential_policy.rules import DEFAULT_DAYS, Kind
from entitlements.errors import Forbidden, ReasonRequired
from entitlements.people import people
from entitlements.people.models import ApiToken, Person
from entitlements.people_sources import sources
from entitlements.people_sources.models import PeopleSource
from entitlements.secrets import vault
from entitlements.secrets.models import Secret
from governance.credential_policy import policy_proposals, warnings
from governance.credential_policy.models import CredentialPolicyProposal, CredentialWarning
from governance.notices.models import Notice
from tests import make

pytestmark = pytest.mark.django_db

DAYS = {kind.value: days for kind, days in DEFAULT_DAYS.items()}


@pytest.fixture(autouse=True)
def no_grace() -> None:
    """Let the product's own policy be older than what a test makes: no upgrade spares it."""
    CredentialPolicy.objects.all().delete()


def propose(by: Person, reason: str = "Shorter.", **days: int) -> CredentialPolicyProposal:
    return policy_proposals.propose(
        {**DAYS, **days}, overlap_hours=48, stops_upstream_secrets=True, by=by, reason=reason
    )


def test_one_proposes_and_another_puts_it_in_force() -> None:
    ada, sec = make.person("ada", roles=["admin"]), make.person("sec", roles=["security"])
    proposal = propose(ada, client_secret=90)
    assert policy.current().limits[Kind.CLIENT_SECRET].days == 365
    with pytest.raises(policy_proposals.KIND.proposed_already):
        propose(sec)
    with pytest.raises(policy_proposals.KIND.proposed_by_own_account):
        policy_proposals.KIND.confirm(proposal.pk, by=ada, reason="Mine.")
    policy_proposals.KIND.confirm(proposal.pk, by=sec, reason="Agreed.")
    in_force = policy.current()
    assert (in_force.limits[Kind.CLIENT_SECRET].days, in_force.overlap) == (90, timedelta(hours=48))
    assert in_force.limits[Kind.CLIENT_KEY].days == 730
    with pytest.raises(policy_proposals.KIND.over):
        policy_proposals.KIND.confirm(proposal.pk, by=sec, reason="Again.")
    published = Event.objects.get(action="credential_policy.published")
    assert (published.actor, published.detail["proposed_by"]) == ("person:sec", "person:ada")


def test_a_second_account_of_the_proposer_confirms_nothing_and_no_other_role_proposes() -> None:
    ada, twin = make.person("ada", roles=["admin"]), make.person("ada-2", roles=["security"])
    Person.objects.filter(pk__in=[ada.pk, twin.pk]).update(email="ada@example.org")
    proposal = propose(Person.objects.get(pk=ada.pk))
    with pytest.raises(policy_proposals.KIND.proposed_by_own_account):
        policy_proposals.KIND.confirm(proposal.pk, by=Person.objects.get(pk=twin.pk), reason="Twin.")
    for role in ("analyst", "approver", "auditor"):
        with pytest.raises(Forbidden):
            propose(make.person(f"{role}-one", roles=[role]))
    with pytest.raises(ReasonRequired):
        propose(ada, reason=" ")
    policy_proposals.KIND.withdraw(proposal.pk, by=ada, reason="No.")
    assert policy.current().limits[Kind.CLIENT_SECRET].days == 365


@pytest.fixture
def later(monkeypatch: pytest.MonkeyPatch) -> Callable[[timedelta], datetime]:
    moved, now = [timedelta()], clock.now
    monkeypatch.setattr(clock, "now", lambda: now() + moved[0])

    def on(by: timedelta) -> datetime:
        moved[0] += by
        return clock.now()

    return on


def told(person: Person) -> list[str]:
    return [notice.sentence for notice in Notice.objects.filter(person=person).order_by("made_at")]


def test_owner_and_sponsor_are_warned_thirty_seven_and_one_day_ahead_once_each_and_in_one_notice(
    later: Callable[[timedelta], datetime],
) -> None:
    agent = make.agent("bot")
    for name in ("one", "two"):
        make.client(agent, name, auth="client_secret_basic")
    assert warnings.warn() == 0
    for days, expected in ((334, 0), (1, 1), (1, 1), (21, 1), (1, 2), (5, 2), (1, 3), (3, 3)):
        later(timedelta(days=days))
        warnings.warn()
        warnings.warn()
        assert [len(told(person)) for person in (agent.sponsor, agent.owner) if person] == [expected] * 2
    assert all("2 credentials" in sentence and "one, two" in sentence for sentence in told(agent.sponsor))
    assert CredentialWarning.objects.count() == 6


def test_a_new_secret_has_warnings_of_its_own_and_a_stopped_client_none(
    later: Callable[[timedelta], datetime],
) -> None:
    agent = make.agent("bot")
    client, _ = make.client(agent, "one", auth="client_secret_basic")
    stopped, _ = make.client(agent, "two", auth="client_secret_basic")
    later(timedelta(days=340))
    Client.objects.filter(pk=stopped.pk).update(status="disabled")
    assert warnings.warn() == 2
    clients.rotate_secret(client, by=agent.sponsor.principal, reason="In time.")
    later(timedelta(days=20))
    assert warnings.warn() == 0
    later(timedelta(days=320))
    assert warnings.warn() == 2


def test_each_other_kind_warns_who_can_replace_it(later: Callable[[timedelta], datetime]) -> None:
    ada, ana, owner = make.person("ada", roles=["admin"]), make.person("ana"), make.person("olga")
    people.make_api_token(ana, "nightly", lasts=timedelta(days=2000), by=ana.principal)
    people.make_api_token(ana, "short", lasts=timedelta(days=350), by=ana.principal)
    sources.make("okta", name="Okta", subjects_of=None, by=SYSTEM)
    system = make.system("time", owner=owner)
    vault.set_secret(system, kind="bearer", value="one-secret", by=SYSTEM)
    made: Any = clock.now()
    for rows, column in ((ApiToken, "created_at"), (PeopleSource, "token_made_at"), (Secret, "changed_at")):
        rows.objects.update(**{column: made})
    later(timedelta(days=336))
    warnings.warn()
    urls = {
        person.login: list(Notice.objects.filter(person=person).values_list("url", flat=True))
        for person in (ada, ana, owner)
    }
    assert urls == {
        "ada": ["/settings/people-sources/okta/"],
        "ana": ["/settings/"],
        "olga": ["/systems/time/edit/"],
    }
    assert "nightly" in told(ana)[0]
    later(timedelta(days=40))
    warnings.warn()
    assert len(told(owner)) == 2, "its calls go on, so its owner is asked once more"
    assert len(told(ana)) == 1
