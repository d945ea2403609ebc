"""Upstream credentials: sealed, bound to their row, and shown to nobody."""

from __future__ import annotations

from typing import Any

import pytest

from audit.context import SYSTEM
from audit.models import Event
from entitlements.feed.models import Change
from entitlements.secrets import kinds, seal, vault
from entitlements.secrets.models import Secret
from governance import env
from tests import make

pytestmark = pytest.mark.django_db
VALUE = "s3cret-token-0815"


def test_a_credential_is_stored_sealed_and_opens_again() -> None:
    system = make.system()

    row = vault.set_secret(system, kind="bearer", value=VALUE, by=SYSTEM)

    assert VALUE.encode() not in bytes(row.sealed)
    assert (row.last_four, len(row.fingerprint)) == ("0815", 16)
    opened = vault.open_for(system)
    assert opened is not None
    assert (opened.header, opened.value) == ("Authorization", f"Bearer {VALUE}")
    assert VALUE not in repr(opened)


def test_setting_it_is_recorded_without_it_and_noted_in_the_feed() -> None:
    system = make.system()

    vault.set_secret(system, kind="header", header="X-Api-Key", value=VALUE, by=SYSTEM)

    (event,) = Event.objects.filter(action="secret.set")
    assert VALUE not in event.body
    assert Change.objects.filter(system_id=system.pk, agent=None).exists()


def test_a_sealed_credential_does_not_open_in_another_row() -> None:
    one, other = make.system(), make.system()
    sealed = vault.set_secret(one, kind="bearer", value=VALUE, by=SYSTEM).sealed
    vault.set_secret(other, kind="bearer", value="another-one", by=SYSTEM)
    Secret.objects.filter(system=other).update(sealed=sealed)

    with pytest.raises(seal.SealBroken):
        vault.open_for(other)


def test_a_system_without_a_credential_has_none() -> None:
    assert vault.open_for(make.system()) is None


@pytest.mark.parametrize(
    ("kind", "header", "value"),
    [
        ("bearer", "Authorization", "short"),
        ("bearer", "Authorization", "with\r\nline-end"),
        ("bearer", "Authorization", " padded-value "),
        ("bearer", "Authorization", "\u00fcmlaut-value"),
        ("header", "Host", VALUE),
        ("header", "Mcp-Session-Id", VALUE),
        ("header", "X Y", VALUE),
        ("cookie", "Cookie", VALUE),
    ],
)
def test_a_credential_that_would_bend_the_request_is_refused(kind: str, header: str, value: str) -> None:
    with pytest.raises(kinds.CredentialMalformed):
        vault.set_secret(make.system(), kind=kind, header=header, value=value, by=SYSTEM)


def test_both_secrets_of_an_overlap_are_sealed_again_under_another_key(settings: Any) -> None:  # noqa: ANN401 - pytest's
    system = make.system()
    vault.set_secret(system, kind="bearer", value=VALUE, by=SYSTEM)
    vault.set_secret(system, kind="header", header="X-Key", value="another-one", by=SYSTEM, keep_previous=True)
    settings.KEY_ENCRYPTION_KEY_PREVIOUS = settings.KEY_ENCRYPTION_KEY
    settings.KEY_ENCRYPTION_KEY = env.Secret(b"n" * 32)
    assert (vault.reseal(10), vault.reseal(10)) == (1, 0)
    settings.KEY_ENCRYPTION_KEY_PREVIOUS = env.Secret(b"")
    opened = vault.open_for(system)
    assert opened is not None
    assert opened.fallback is not None
    assert (opened.value, opened.fallback.value) == ("another-one", f"Bearer {VALUE}")
    assert (opened.header, opened.fallback.header) == ("X-Key", "Authorization")
