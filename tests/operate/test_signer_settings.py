"""Where the next signing key is made, as the environment says it: nonsense stops the start with a sentence."""

from __future__ import annotations

from pathlib import Path

import pytest

from governance import env
from governance.env import BadEnvironmentError

TRANSIT = {"SIGNER": "transit", "TRANSIT_URL": "https://bao.example:8200", "TRANSIT_TOKEN": "hush"}
PKCS11 = {"SIGNER": "pkcs11", "PKCS11_MODULE": "/usr/lib/module.so", "PKCS11_LABEL": "mandate", "PKCS11_PIN": "1234"}


def read(monkeypatch: pytest.MonkeyPatch, given: dict[str, str]) -> object:
    for name, value in given.items():
        monkeypatch.setenv(name, value)
    return env.signers()


def test_keys_are_in_the_database_unless_it_is_said_otherwise() -> None:
    assert env.signers() == ("database", None, None)


def test_two_signers_are_reached_while_keys_move_from_one_to_the_other(monkeypatch: pytest.MonkeyPatch) -> None:
    read(monkeypatch, PKCS11 | TRANSIT)
    signer, transit, pkcs11 = env.signers()
    assert signer == "transit"
    assert transit
    assert pkcs11
    assert (transit.mount, transit.namespace, transit.token()) == ("transit", "", "hush")
    assert (pkcs11.token, pkcs11.pin()) == ("mandate", "1234")
    for shown in (repr(transit), repr(pkcs11)):
        assert "hush" not in shown
        assert "1234" not in shown


def test_a_renewed_token_is_read_from_its_file(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    file = tmp_path / "token"
    file.write_text("first\n")
    given = {"SIGNER": "transit", "TRANSIT_URL": TRANSIT["TRANSIT_URL"], "TRANSIT_TOKEN_FILE": str(file)}
    read(monkeypatch, given)
    _, transit, _ = env.signers()
    assert transit
    assert transit.token() == "first"
    file.write_text("second\n")
    assert transit.token() == "second"


@pytest.mark.parametrize(
    "given",
    [
        {"SIGNER": "file"},
        {"SIGNER": "transit"},
        {"SIGNER": "pkcs11"},
        TRANSIT | {"TRANSIT_URL": "http://bao.example:8200"},
        TRANSIT | {"TRANSIT_URL": "https://bao.example:8200/v1/transit"},
        TRANSIT | {"TRANSIT_URL": "https://user:password@bao.example"},
        TRANSIT | {"TRANSIT_MOUNT": "../sys"},
        TRANSIT | {"TRANSIT_MOUNT": "a b"},
        TRANSIT | {"TRANSIT_NAMESPACE": "a\nX-Other: b"},
        PKCS11 | {"PKCS11_MODULE": "libsofthsm2.so"},
        PKCS11 | {"PKCS11_LABEL": ""},
    ],
    ids=str,
)
def test_nonsense_is_refused_with_the_name_of_the_variable(
    monkeypatch: pytest.MonkeyPatch, given: dict[str, str]
) -> None:
    with pytest.raises(BadEnvironmentError, match=r"SIGNER|TRANSIT_|PKCS11_"):
        read(monkeypatch, given)
