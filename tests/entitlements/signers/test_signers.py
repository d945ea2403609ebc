"""What holds of every signer: it makes, signs and destroys, each with every algorithm, and fails closed."""

from __future__ import annotations

import asyncio
import dataclasses
import socket

import msgspec
import pytest
from joserfc import jwk
from pytest_django.fixtures import Settings

from entitlements.keys import public_keys
from entitlements.signers import algorithms, handle, signers, transit
from entitlements.signers.options import Pkcs11Options, TransitOptions
from entitlements.signers.pkcs11 import Pkcs11Signer
from entitlements.signers.signer import Signer, SignerUnreachable
from entitlements.signers.signers import OwnKey
from entitlements.signers.transit import TransitSigner
from tests.openbao import Bao

pytestmark = [pytest.mark.loopback, pytest.mark.usefixtures("short_rsa_keys")]
ALL = ("database", "transit", "pkcs11")
OUTSIDE = ALL[1:]
DATA = b"header.claims"


@pytest.mark.parametrize("algorithm", algorithms.OURS)
@pytest.mark.parametrize("signer", ALL, indirect=True)
def test_a_signer_makes_a_key_signs_with_it_and_destroys_it(signer: Signer, algorithm: str) -> None:
    made = signer.make("k1", algorithm)
    public = public_keys.read(made.public)
    assert (public.kid, public.algorithm) == ("k1", algorithm)
    first, second = (signer.sign("k1", made.private, algorithm, data) for data in (DATA, DATA + b"x"))
    verify = algorithms.implementation(algorithm).verify
    assert verify(DATA, first, public.material)
    assert verify(DATA + b"x", second, public.material)
    assert not verify(DATA, second, public.material)
    if signer.is_remote:
        assert not {"d", "p", "q"} & msgspec.json.decode(made.private)["public"].keys()
    for _ in range(2):  # the second time there is nothing left
        signer.destroy("k1", made.private)
    if signer.is_remote:
        with pytest.raises(SignerUnreachable):
            signer.sign("k1", made.private, algorithm, DATA)


@pytest.mark.parametrize("signer", OUTSIDE, indirect=True)
def test_a_signature_of_another_key_is_taken_for_none(signer: Signer) -> None:
    made, other = (signer.make(kid, algorithms.ES256) for kid in ("mine", "other"))
    name = handle.read(other.private).name
    crossed = msgspec.json.encode({"name": name, "public": made.public})
    with pytest.raises(SignerUnreachable, match="another key"):
        signer.sign("mine", crossed, algorithms.ES256, DATA)


@pytest.mark.parametrize("signer", OUTSIDE, indirect=True)
def test_many_threads_sign_at_once(signer: Signer, settings: Settings) -> None:
    made = signer.make("shared", algorithms.ES256)
    key = OwnKey("shared", algorithms.ES256, settings.SIGNER, made.private)

    async def many() -> list[bytes]:
        return await asyncio.gather(*(signers.sign(key, DATA) for _ in range(64)))

    assert len({len(signature) for signature in asyncio.run(many())}) == 1


def test_a_key_in_a_module_is_sensitive_and_stays_there(hsm: Pkcs11Options) -> None:
    import pkcs11  # noqa: PLC0415 - an extra

    signer = Pkcs11Signer(hsm)
    signer.make("kept", algorithms.EDDSA)
    key = signer._session.get_key(object_class=pkcs11.ObjectClass.PRIVATE_KEY, label="mandate-kept")
    assert key[pkcs11.Attribute.SENSITIVE]
    assert not key[pkcs11.Attribute.EXTRACTABLE]


def test_a_key_at_openbao_cannot_be_exported(bao: Bao) -> None:
    TransitSigner(bao.options).make("kept", algorithms.ES256)
    said = bao.ask("GET", "transit/keys/mandate-kept-key")["data"]
    assert (said["exportable"], said["allow_plaintext_backup"], said["type"]) == (False, False, "ecdsa-p256")


def test_a_key_at_openbao_may_have_any_id_of_ours(bao: Bao) -> None:
    """A name there ends with a letter, a digit or an underscore: one of 64 random ids ends with a hyphen."""
    signer = TransitSigner(bao.options)
    for kid in ("ends-with-", "-begins-with", "ends_with_"):
        made = signer.make(kid, algorithms.ES256)
        assert signer.sign(kid, made.private, algorithms.ES256, DATA)
        signer.destroy(kid, made.private)
        with pytest.raises(SignerUnreachable):
            signer.sign(kid, made.private, algorithms.ES256, DATA)


def test_a_token_that_was_renewed_is_read_anew(bao: Bao) -> None:
    signer = TransitSigner(bao.options)
    made = signer.make("renewed", algorithms.ES256)
    bao.new_token()
    assert signer.sign("renewed", made.private, algorithms.ES256, DATA)
    wrong = TransitSigner(dataclasses.replace(bao.options, token=lambda: "none"))
    with pytest.raises(SignerUnreachable):
        wrong.sign("renewed", made.private, algorithms.ES256, DATA)


def test_a_server_with_another_certificate_is_not_spoken_to(bao: Bao) -> None:
    strangers = TransitSigner(dataclasses.replace(bao.options, ca_file=""))
    with pytest.raises(SignerUnreachable):
        strangers.make("k", algorithms.ES256)
    assert "mandate-k-key" not in bao.names()


def test_a_module_that_is_not_there_or_another_pin_signs_nothing(hsm: Pkcs11Options) -> None:
    for options in (dataclasses.replace(hsm, token="none"), dataclasses.replace(hsm, module="/nowhere.so")):
        with pytest.raises(SignerUnreachable):
            Pkcs11Signer(options).make("k", algorithms.ES256)


def test_a_signer_that_hangs_keeps_no_event_loop_waiting_and_is_not_asked_again_at_once(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(transit, "SECONDS", 0.3)
    with socket.create_server(("127.0.0.1", 0)) as silent:
        settings.TRANSIT = TransitOptions(f"http://127.0.0.1:{silent.getsockname()[1]}", "t", "", "", lambda: "x")
        signers.named.cache_clear()
        public = algorithms.new_key("k", algorithms.ES256).as_dict(private=False)
        key = OwnKey("k", algorithms.ES256, "transit", handle.Handle("mandate-k-key", public).new_key().private)
        turns = asyncio.run(_while_it_hangs(key))
        silent.settimeout(0)
        silent.accept()[0].close()
        with pytest.raises(BlockingIOError):  # while it is paused no request waits
            silent.accept()
    signers.named.cache_clear()
    assert turns > 5, "the loop went on meanwhile"


async def _while_it_hangs(key: OwnKey) -> int:
    """Ask for a signature, and for another; return how often the loop turned while the first was waited for."""
    waiting, turns = asyncio.ensure_future(signers.sign(key, DATA)), 0
    while not waiting.done():
        await asyncio.sleep(0.01)
        turns += 1
    with pytest.raises(SignerUnreachable):
        await waiting
    with pytest.raises(SignerUnreachable):
        await signers.sign(key, DATA)
    return turns


def test_no_more_wait_than_are_answered_in_time(monkeypatch: pytest.MonkeyPatch, bao: Bao, settings: Settings) -> None:
    monkeypatch.setattr(signers, "MOST_WAITING", 2)
    settings.TRANSIT = bao.options
    signers.named.cache_clear()
    made = signers.named("transit").make("crowd", algorithms.ES256)
    key = OwnKey("crowd", algorithms.ES256, "transit", made.private)

    async def crowd() -> list[object]:
        return list(await asyncio.gather(*(signers.sign(key, DATA) for _ in range(6)), return_exceptions=True))

    kinds = [type(each) for each in asyncio.run(crowd())]
    signers.named.cache_clear()
    assert (kinds.count(bytes), kinds.count(SignerUnreachable)) == (2, 4)


def test_a_signer_that_is_not_set_up_here_says_which_it_is(settings: Settings) -> None:
    settings.TRANSIT = settings.PKCS11 = None
    signers.named.cache_clear()
    for name in OUTSIDE:
        with pytest.raises(SignerUnreachable, match=name):
            signers.named(name)


def test_the_key_that_is_read_back_is_the_one_that_was_made() -> None:
    made = algorithms.new_key("k", algorithms.EDDSA)
    assert isinstance(algorithms.read(msgspec.json.decode(algorithms.written(made))), jwk.OKPKey)
