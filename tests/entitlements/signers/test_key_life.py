"""A key's life is the same with each signer: made, published, used at both issuers, rotated, withdrawn, destroyed."""

from __future__ import annotations

import json
from collections.abc import Callable
from contextlib import AbstractContextManager
from typing import TYPE_CHECKING

import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import load_pem_public_key
from pytest_django.fixtures import Settings

from audit.context import SYSTEM
from audit.models import Event
from entitlements.keys import jws, public_keys, signing
from entitlements.keys.models import SigningKey
from entitlements.revocation import record_keys
from entitlements.signers import signers
from entitlements.signers.signer import Signer, SignerUnreachable
from entitlements.tokens.models import IssuedToken
from tests import shared

if TYPE_CHECKING:
    from tests.entitlements.edge.worlds import World

pytestmark = [pytest.mark.django_db, pytest.mark.loopback]
ALL = ("database", "transit", "pkcs11")
OUTSIDE = ALL[1:]
type Committed = Callable[..., AbstractContextManager[list[Callable[[], object]]]]


def _world() -> World:
    from tests.entitlements.edge import worlds  # noqa: PLC0415 - the settings are known only now

    return worlds.world()


made_world, world = shared.world(_world)


def move(*issuers: str) -> None:
    """Take issuers to the signer of the settings, as an operator does after changing them."""
    for issuer in issuers:
        signing.rotate(issuer, by=SYSTEM, now=True)


@pytest.mark.parametrize("signer", ALL, indirect=True)
def test_tokens_are_issued_checked_rotated_and_withdrawn(
    world: World, signer: Signer, settings: Settings, django_capture_on_commit_callbacks: Committed
) -> None:
    path = f"as/{world.system.slug}"
    old = world.access_token()
    move("idp", path)
    id_jag = world.id_jag()
    token = world.redeem(id_jag).body["access_token"]
    for issuer, signed in (("idp", id_jag), (path, token)):
        row = SigningKey.objects.get(issuer=issuer, state="active")
        assert (row.signer, row.kid) == (settings.SIGNER, jws.read(signed).kid)
        keys = public_keys.read_set(world.http.get(f"/{issuer}/jwks.json").json())
        unverified = jws.read(signed)
        assert jws.check(unverified, jws.choose(unverified, keys))

    def is_active(shown: str) -> bool:
        form = {"token": shown, **world.credentials(world.audience)}
        return bool(world.post(f"/{path}/introspect", form).body["active"])

    assert is_active(old)
    assert is_active(token)
    key = SigningKey.objects.get(issuer=path, state="active")
    own = signing.own_key(key.kid)
    with django_capture_on_commit_callbacks(execute=True):
        signing.withdraw(key.kid, by=SYSTEM, reason="leaked")
    assert not is_active(token)
    assert is_active(world.access_token())
    if signer.is_remote:
        with pytest.raises(SignerUnreachable):
            signers.sign_here(own, b"x")


@pytest.mark.parametrize("signer", ALL, indirect=True)
def test_what_is_kept_is_signed_there_too_as_openssl_reads_it(signer: Signer) -> None:
    kid = signing.active_kid(record_keys.EVIDENCE)
    public = load_pem_public_key(signing.public_pem(kid))
    assert isinstance(public, ec.EllipticCurvePublicKey)
    public.verify(signing.sign_bytes(kid, b"pack"), b"pack", ec.ECDSA(SHA256()))
    receipt = signing.sign(record_keys.RECEIPTS, {"id": "r"}, "mandate-receipt+jwt")
    assert record_keys.check(receipt, "mandate-receipt+jwt", lambda: None)[0] == {"id": "r"}
    assert SigningKey.objects.get(kid=kid).signer != "database" or not signer.is_remote


@pytest.mark.parametrize("signer", OUTSIDE, indirect=True)
def test_without_its_signer_nothing_is_issued_and_what_was_issued_goes_on(
    world: World, signer: Signer, settings: Settings
) -> None:
    path = f"as/{world.system.slug}"
    move("idp", path)
    id_jag = world.id_jag()
    token = world.redeem(id_jag).body["access_token"]
    id_jag, subject = world.id_jag(), world.id_token()
    issued, told = IssuedToken.objects.count(), Event.objects.filter(action="token.issued").count()
    settings.TRANSIT = settings.PKCS11 = None  # the service is gone
    signers.named.cache_clear()
    for answer in (world.redeem(id_jag), world.exchange(subject_token=subject)):
        assert answer.error == (503, "temporarily_unavailable", "signer_unreachable")
    assert IssuedToken.objects.count() == issued
    assert Event.objects.filter(action="token.issued").count() == told
    refused = [json.loads(event.body)["code"] for event in Event.objects.filter(action="token.refused")]
    assert refused == ["signer_unreachable"] * 2
    form = {"token": token, **world.credentials(world.audience)}
    assert world.post(f"/{path}/introspect", form).body["active"]
    assert signer.is_remote


@pytest.mark.parametrize("signer", ["transit"], indirect=True)
def test_a_key_that_cannot_be_made_leaves_the_one_before_in_use(
    world: World, signer: Signer, settings: Settings
) -> None:
    assert signer.is_remote
    before = signing.active_kid("idp")
    settings.TRANSIT = None
    signers.named.cache_clear()
    with pytest.raises(SignerUnreachable):
        signing.rotate("idp", by=SYSTEM, now=True)
    assert signing.active_kid("idp") == before
    assert world.id_jag()
