"""A connector enrols itself once, by a code that lasts an hour; a system has two; what is revoked stays revoked."""

from __future__ import annotations

import contextlib

import pytest
import time_machine
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from django.db import IntegrityError, transaction

from audit import clock
from audit.context import SYSTEM
from audit.models import Event
from entitlements.catalog.models import System
from entitlements.connectors import connectors, errors, proof
from entitlements.connectors.models import Connector
from entitlements.errors import DomainError, NotFound, ReasonRequired
from entitlements.keys.public_keys import BadKey
from tests import make

pytestmark = pytest.mark.django_db
REASON = "It is behind a firewall."


def key() -> str:
    return proof.public_text(Ed25519PrivateKey.generate())


def add(system: System) -> connectors.NewConnector:
    return connectors.add(system, name="hall 3", by=make.analyst(), reason=REASON)


def events(row: Connector) -> list[str]:
    found = Event.objects.filter(links__contains=[f"connector:{row.pk}"]).order_by("at", "sequence")
    return [event.action for event in found]


def test_a_code_enrols_one_connector_once() -> None:
    made = add(make.system())
    assert made.code not in str(Connector.objects.values().get())
    assert made.code not in repr(made)
    public = key()
    row = connectors.enrol(code=made.code, public_key=public)
    assert (row.state, row.public_key, row.code_sha256) == ("active", public, "")
    assert row.thumbprint == proof.thumbprint(public)
    with pytest.raises(errors.EnrolmentRefused):
        connectors.enrol(code=made.code, public_key=key())
    assert Connector.objects.get().public_key == public
    assert events(row) == ["connector.added", "connector.enrolled"]


def test_a_code_lasts_an_hour() -> None:
    made = add(make.system())
    with time_machine.travel(clock.now() + connectors.CODE_LASTS), pytest.raises(errors.EnrolmentRefused):
        connectors.enrol(code=made.code, public_key=key())


@pytest.mark.parametrize("code", ["", "mandate-enrol-", "mandate-enrol-" + "A" * 43])
def test_an_unknown_code_enrols_nothing(code: str) -> None:
    row = connectors.enrol(code=add(make.system()).code, public_key=key())  # its code is stored as nothing now
    with pytest.raises(errors.EnrolmentRefused):
        connectors.enrol(code=code, public_key=key())
    assert Connector.objects.get() == row


def test_a_key_is_enrolled_once() -> None:
    public = key()
    connectors.enrol(code=add(make.system()).code, public_key=public)
    with pytest.raises(errors.EnrolmentRefused):
        connectors.enrol(code=add(make.system()).code, public_key=public)


@pytest.mark.parametrize("public", ["", "AAAA", "A" * 43, "?" * 43])
def test_a_key_that_is_none_or_is_weak_uses_up_no_code(public: str) -> None:
    made = add(make.system())
    with pytest.raises(BadKey):
        connectors.enrol(code=made.code, public_key=public)
    assert connectors.enrol(code=made.code, public_key=key()).state == "active"


def test_a_system_has_two_connectors_and_a_place_is_free_again_when_one_is_revoked() -> None:
    system = make.system()
    first, _ = add(system), add(system)
    with pytest.raises(errors.TooManyConnectors):
        add(system)
    add(make.system())
    connectors.revoke(first.connector.pk, by=SYSTEM, reason=REASON)
    assert add(system).connector.place == first.connector.place


@pytest.mark.parametrize(
    ("place", "rule"), [(1, "a_place_of_a_system_has_one"), (2, ""), (3, "a_system_has_two_connectors_at_most")]
)
def test_the_database_knows_no_third_connector(place: int, rule: str) -> None:
    system = make.system()
    add(system)
    now = clock.now()
    held = pytest.raises(IntegrityError, match=rule) if rule else contextlib.nullcontext()
    with held, transaction.atomic():
        Connector.objects.create(system=system, place=place, created_at=now, code_ends_at=now, code_sha256="c" * 64)


def test_what_is_revoked_enrols_no_more_and_is_revoked_once() -> None:
    made = add(make.system())
    row = connectors.revoke(made.connector.pk, by=SYSTEM, reason=REASON)
    assert (row.state, row.revoke_reason) == ("revoked", REASON)
    with pytest.raises(errors.EnrolmentRefused):
        connectors.enrol(code=made.code, public_key=key())
    with pytest.raises(errors.ConnectorRevoked):
        connectors.revoke(row.pk, by=SYSTEM, reason=REASON)
    assert events(row) == ["connector.added", "connector.revoked"]


def test_each_change_has_a_reason_and_only_what_the_gateway_dials_has_connectors() -> None:
    system = make.system()
    with pytest.raises(ReasonRequired):
        connectors.add(system, name="x", by=make.analyst(), reason=" ")
    with pytest.raises(ReasonRequired):
        connectors.revoke(add(system).connector.pk, by=SYSTEM, reason="")
    with pytest.raises(NotFound):
        add(make.vendor())


def test_a_signature_is_for_one_connection_of_one_connector() -> None:
    mine = Ed25519PrivateKey.generate()
    said = {"connector": "c", "system": "s", "node": "n", "nonce": "1"}
    signature = proof.signed(mine, **said)
    assert proof.is_signed(proof.public_text(mine), signature, **said)
    for name in said:
        assert not proof.is_signed(proof.public_text(mine), signature, **{**said, name: "other"})
    assert not proof.is_signed(key(), signature, **said)
    for broken in ("", "?", signature[:-2], signature + "AA"):
        assert not proof.is_signed(proof.public_text(mine), broken, **said)
    assert not proof.is_signed(proof.public_text(mine), signature, **{**said, "node": "n\n1"})


def test_domain_errors_say_no_more_of_one_code_than_of_another() -> None:
    used = add(make.system())
    connectors.enrol(code=used.code, public_key=key())
    told = set()
    for code in (used.code, "mandate-enrol-unknown"):
        with pytest.raises(DomainError) as refused:
            connectors.enrol(code=code, public_key=key())
        told.add((refused.value.message, str(refused.value.detail)))
    assert len(told) == 1
