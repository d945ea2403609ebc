"""The signers as they run: in this process, at a real OpenBao, and in SoftHSM."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import pytest
from pytest_django.fixtures import Settings

from tests import openbao, softhsm

if TYPE_CHECKING:
    from entitlements.signers.options import Pkcs11Options
    from entitlements.signers.signer import Signer


@pytest.fixture(scope="session")
def bao(tmp_path_factory: pytest.TempPathFactory) -> Iterator[openbao.Bao]:
    """Run OpenBao once for all tests of this process."""
    with openbao.running(tmp_path_factory.mktemp("bao")) as running:
        yield running


@pytest.fixture(scope="session")
def hsm(tmp_path_factory: pytest.TempPathFactory) -> Pkcs11Options:
    """Make a token of SoftHSM once."""
    if not softhsm.library():
        pytest.skip("SoftHSM is not installed: apt-get install softhsm2")
    return softhsm.token(tmp_path_factory.mktemp("hsm"))


@pytest.fixture
def signer(request: pytest.FixtureRequest, settings: Settings) -> Iterator[Signer]:
    """Set up the signer that the test is run with, for the next key and all that follow."""
    from entitlements.signers import signers  # noqa: PLC0415 - the settings are known only now

    settings.SIGNER = request.param
    if request.param == signers.Name.TRANSIT:
        settings.TRANSIT = request.getfixturevalue("bao").options
    elif request.param == signers.Name.PKCS11:
        settings.PKCS11 = request.getfixturevalue("hsm")
    signers.named.cache_clear()
    yield signers.named(request.param)
    signers.named.cache_clear()
