"""A network is proposed by one person and confirmed by another; one ends it. A client certificate is written once."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import timedelta
from ipaddress import ip_network
from typing import Any

import pytest
from django.db import IntegrityError, transaction
from pytest_django.fixtures import Settings

from audit import clock
from audit.context import SYSTEM
from audit.models import Event
from entitlements.catalog import systems
from entitlements.catalog.models import System
from entitlements.errors import DomainError, Forbidden, NotFound, ReasonRequired
from entitlements.feed.models import Change
from entitlements.networks import certificates, errors, network, networks
from entitlements.networks.models import ClientCertificate, SystemNetwork
from entitlements.people.models import Person
from entitlements.secrets import seal
from entitlements.upstream.upstream import Target
from governance import env
from governance.credential_policy import certificate_warnings
from governance.notices.models import Notice
from tests import make, snapshots
from tests.entitlements.networks.certificates import Authority, Pair

COMPANY = Authority()
TEN = ["10.20.0.0/16"]


@dataclass
class World:
    """Who may propose, confirm and end, and a system."""

    owner: Person = field(default_factory=make.person)
    analyst: Person = field(default_factory=make.analyst)
    security: Person = field(default_factory=make.security)
    system: System = field(init=False)

    def __post_init__(self) -> None:
        self.system = make.system("erp", owner=self.owner, upstream_url="https://erp.example/mcp")

    def propose(self, **terms: Any) -> SystemNetwork:  # noqa: ANN401 - any of the terms
        return networks.propose(self.system, **{"prefixes": TEN, "by": self.owner, "reason": "It is at home.", **terms})


@snapshots.restored
def make_world() -> World:
    return World()


@pytest.fixture
def world(db: None) -> World:  # noqa: ARG001 - it writes
    return make_world()


def events() -> list[str]:
    return list(
        Event.objects.filter(action__startswith="system_network.").order_by("at").values_list("action", flat=True)
    )


def test_a_proposal_opens_nothing_until_a_second_person_confirms_it(world: World) -> None:
    proposed = world.propose(company_ca=COMPANY.pem)
    assert network.open_for(world.system) is None
    for who in (world.owner, world.analyst):
        with pytest.raises(Forbidden):
            networks.KIND.confirm(proposed.pk, by=who)
    before = Change.objects.filter(system_id=world.system.pk).count()
    networks.KIND.confirm(proposed.pk, by=world.security)
    opened = network.open_for(world.system)
    assert opened is not None
    assert (opened.prefixes, opened.company_ca.strip()) == ((ip_network("10.20.0.0/16"),), COMPANY.pem.strip())
    assert Change.objects.filter(system_id=world.system.pk).count() == before + 1
    with pytest.raises(networks.KIND.over):
        networks.KIND.confirm(proposed.pk, by=world.security)
    assert events() == ["system_network.proposed", "system_network.confirmed"]


def test_the_proposer_does_not_confirm_by_any_account(world: World) -> None:
    proposed = world.propose(by=world.security)
    second = make.security()
    Person.objects.filter(pk=second.pk).update(email=world.security.email)
    second.refresh_from_db()
    for who in (world.security, second):
        with pytest.raises(networks.KIND.proposed_by_own_account):
            networks.KIND.confirm(proposed.pk, by=who)
    with pytest.raises(IntegrityError), transaction.atomic():  # the database says so as well
        SystemNetwork.objects.filter(pk=proposed.pk).update(
            state="in_force", confirmed_by=world.security, confirmed_at=proposed.proposed_at
        )


def test_a_change_is_another_proposal_and_replaces_what_was_in_force(world: World) -> None:
    first = networks.KIND.confirm(world.propose().pk, by=world.security)
    with pytest.raises(networks.KIND.unchanged):
        world.propose()
    second = world.propose(prefixes=["192.168.7.0/24"])
    with pytest.raises(networks.KIND.proposed_already):
        world.propose(prefixes=["192.168.8.0/24"])
    networks.KIND.confirm(second.pk, by=world.security)
    first.refresh_from_db()
    assert first.state == "replaced"
    third = world.propose()
    with pytest.raises(ReasonRequired):
        networks.KIND.withdraw(third.pk, by=world.analyst, reason=" ")
    assert networks.KIND.withdraw(third.pk, by=world.analyst, reason="no").state == "withdrawn"


def test_one_person_ends_it_at_once(world: World) -> None:
    row = networks.KIND.confirm(world.propose().pk, by=world.security)
    before = Change.objects.filter(system_id=world.system.pk).count()
    with pytest.raises(ReasonRequired):
        networks.KIND.end(row.pk, by=world.owner, reason="")
    networks.KIND.end(row.pk, by=world.owner, reason="It moved out.")
    assert network.open_for(world.system) is None
    assert Change.objects.filter(system_id=world.system.pk).count() == before + 1
    assert events()[-1] == "system_network.ended"


@pytest.mark.parametrize(
    ("terms", "refusal"),
    [
        ({"reason": " "}, ReasonRequired),
        ({"prefixes": ["127.0.0.0/8"]}, errors.NetworkForbidden),
        ({"prefixes": []}, errors.NetworkMalformed),
        ({"company_ca": "x"}, errors.NetworkMalformed),
    ],
)
def test_what_cannot_be_agreed_to_is_refused(world: World, terms: dict[str, Any], refusal: type[DomainError]) -> None:
    with pytest.raises(refusal):
        world.propose(**terms)
    assert not SystemNetwork.objects.exists()


def test_with_another_host_network_and_certificate_are_over(world: World) -> None:
    row = networks.KIND.confirm(world.propose().pk, by=world.security)
    waits = world.propose(prefixes=["192.168.7.0/24"])
    _store(world.system, COMPANY.for_client())
    systems.edit_system(world.system, upstream_url="https://erp.example/other", by=SYSTEM, reason="renamed")
    assert network.open_for(world.system) is not None, "it is the same host"
    systems.edit_system(world.system, upstream_url="https://other.example/mcp", by=SYSTEM, reason="moved")
    row.refresh_from_db()
    waits.refresh_from_db()
    assert (row.state, waits.state, network.open_for(world.system)) == ("ended", "withdrawn", None)
    detail = Event.objects.filter(action="system.edited").latest("at").detail
    assert (detail["network_ended"], detail["client_certificate_forgotten"]) == (True, True)


def _store(system: System, pair: Pair) -> ClientCertificate:
    return certificates.set_certificate(system, chain=pair.certificate, key=pair.key, by=SYSTEM)


def test_the_key_of_a_client_certificate_is_sealed_and_shows_up_nowhere(world: World) -> None:
    pair = COMPANY.for_client()
    row = _store(world.system, pair)
    assert (row.subject, row.ends_at > clock.now()) == ("CN=mandate", True)
    assert b"PRIVATE" not in bytes(row.sealed_key)
    opened = network.open_for(world.system)
    assert opened is not None
    assert opened.key.decode() == pair.key
    assert pair.key not in repr(opened) + repr(Target("https://erp.example", network=opened))
    (event,) = Event.objects.filter(action="client_certificate.set")
    assert "PRIVATE" not in event.body
    other = make.system("other")
    _store(other, COMPANY.for_client())
    ClientCertificate.objects.filter(system=other).update(sealed_key=row.sealed_key)
    with pytest.raises(seal.SealBroken):
        network.open_for(other)
    certificates.forget(world.system, by=SYSTEM, reason="over")
    assert network.open_for(world.system) is None
    with pytest.raises(NotFound):
        certificates.forget(world.system, by=SYSTEM, reason="over")


def test_the_key_is_sealed_again_under_another_key(world: World, settings: Settings) -> None:
    pair = COMPANY.for_client()
    _store(world.system, pair)
    settings.KEY_ENCRYPTION_KEY_PREVIOUS = settings.KEY_ENCRYPTION_KEY
    settings.KEY_ENCRYPTION_KEY = env.Secret(b"n" * 32)
    assert (certificates.reseal(10), certificates.reseal(10)) == (1, 0)
    settings.KEY_ENCRYPTION_KEY_PREVIOUS = env.Secret(b"")
    opened = network.open_for(world.system)
    assert opened is not None
    assert opened.key.decode() == pair.key


def test_the_owner_is_warned_once_for_each_step_before_a_certificate_ends(world: World) -> None:
    _store(world.system, COMPANY.for_client(ends=timedelta(days=40)))
    assert certificate_warnings.warn() == 0
    for days in (20, 5):
        ClientCertificate.objects.update(ends_at=clock.now() + timedelta(days=days))
        assert (certificate_warnings.warn(), certificate_warnings.warn()) == (1, 0)
    assert {notice.person for notice in Notice.objects.all()} == {world.owner}
    assert "erp" in Notice.objects.latest("pk").sentence
