"""Replacing the key-encryption key: both are read, everything is sealed anew, and then the old one opens nothing."""

from __future__ import annotations

import base64
import os
import re
import subprocess
import sys
from io import StringIO
from typing import Any

import pytest
from allauth.mfa.models import Authenticator
from allauth.mfa.utils import decrypt, encrypt
from cryptography.exceptions import InvalidTag
from django.core.management import CommandError, call_command

from audit import personal_data
from audit.context import SYSTEM
from audit.models import Event, SubjectKey
from entitlements.keys import in_use, signing
from entitlements.keys.models import SigningKey
from entitlements.secrets import seal, vault
from entitlements.secrets.models import Secret
from entitlements.vendors import vendors
from entitlements.vendors.models import Vendor
from governance import env
from governance.operations import invariants, key_rotation
from tests import databases, make
from tests.architecture import tree

pytestmark = pytest.mark.django_db(transaction=True)
NONE: env.Secret[bytes] = env.Secret(b"")


@pytest.fixture(autouse=True)
def fresh() -> None:
    """No process of this kind has opened a key yet."""
    in_use._private.clear()


def reseal() -> str:
    said = StringIO()
    call_command("reseal", "--reason", "yearly", stdout=said)
    return said.getvalue()


@pytest.fixture
def sealed() -> dict[str, Any]:
    """One of everything that lies sealed."""
    system = make.system("time")
    vault.set_secret(system, kind="bearer", value="open-sesame", by=SYSTEM)
    signing.ensure("idp")
    person = make.person("alice")
    for kind, name in ((Authenticator.Type.TOTP, "secret"), (Authenticator.Type.RECOVERY_CODES, "seed")):
        Authenticator.objects.create(user=person, type=kind, data={name: encrypt("JBSWY3DP"), "used_mask": 3})
    event = next(event for event in Event.objects.all() if event.personal)
    assert personal_data.openings(event)
    return {"system": system, "event": event}


def opens(sealed: dict[str, Any]) -> None:
    """Everything can still be read."""
    in_use._private.clear()
    assert vault.open_for(sealed["system"]).value == "Bearer open-sesame"  # type: ignore[union-attr]
    assert signing.sign("idp", {"a": 1}, "at+jwt")
    for row in Authenticator.objects.all():
        assert decrypt(row.data.get("secret") or row.data["seed"]) == "JBSWY3DP"
        assert row.data["used_mask"] == 3
    assert personal_data.openings(sealed["event"])


def replace(settings: Any) -> None:  # noqa: ANN401
    settings.KEY_ENCRYPTION_KEY_PREVIOUS = settings.KEY_ENCRYPTION_KEY
    settings.KEY_ENCRYPTION_KEY = env.Secret(os.urandom(32))


def test_both_keys_are_read_until_everything_lies_under_the_new_one(sealed: dict[str, Any], settings: Any) -> None:  # noqa: ANN401
    old = settings.KEY_ENCRYPTION_KEY
    replace(settings)
    opens(sealed)

    said = reseal()

    assert re.findall(r"(\d+) (.*) sealed anew", said)[:3] == [
        ("1", "upstream credentials"), ("1", "signing keys"), ("2", "second factors"),
    ]  # fmt: skip
    settings.KEY_ENCRYPTION_KEY_PREVIOUS = NONE
    opens(sealed)
    assert not [each for each in invariants.check(only=["11"]) if each.count]
    settings.KEY_ENCRYPTION_KEY = old
    with pytest.raises(seal.SealBroken, match="another KEY_ENCRYPTION_KEY"):
        vault.open_for(sealed["system"])
    with pytest.raises(InvalidTag):
        personal_data.openings(sealed["event"])


def test_signing_keys_go_under_a_key_of_their_own_and_back(sealed: dict[str, Any], settings: Any) -> None:  # noqa: ANN401
    alone = env.Secret(os.urandom(32))
    for now, before in ((alone, NONE), (NONE, alone)):
        settings.SIGNING_KEY_ENCRYPTION_KEY, settings.SIGNING_KEY_ENCRYPTION_KEY_PREVIOUS = now, before
        opens(sealed)
        moved = {what for count, what in re.findall(r"(\d+) (.*) sealed anew", reseal()) if count != "0"}
        assert moved == {"signing keys"}
        settings.SIGNING_KEY_ENCRYPTION_KEY_PREVIOUS = NONE
        opens(sealed)


def test_one_event_says_it_and_a_second_run_finds_nothing(sealed: dict[str, Any], settings: Any) -> None:  # noqa: ANN401
    del sealed
    replace(settings)
    reseal()
    assert set(re.findall(r"\d+", reseal())) == {"0"}
    event = Event.objects.get(action="key_encryption_key.replaced")
    assert (event.reason, event.detail["second_factors"], event.detail["signing_keys"]) == ("yearly", 2, 1)
    assert event.detail["subject_keys"] == SubjectKey.objects.exclude(wrapped=None).count()


def test_a_run_that_was_stopped_goes_on_where_it_was(
    sealed: dict[str, Any],
    settings: Any,  # noqa: ANN401
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    for number in range(5):
        make.person(f"person-{number}")
    replace(settings)
    monkeypatch.setattr(key_rotation, "STEP", 2)
    steps = []

    def stops(after: str, most: int) -> tuple[str, int] | None:
        steps.append(after)
        if len(steps) == 2:
            raise KeyboardInterrupt
        return rewrap(after, most)

    rewrap = personal_data.rewrap
    with monkeypatch.context() as patch:
        patch.setattr(personal_data, "rewrap", stops)
        with pytest.raises(KeyboardInterrupt):
            reseal()
    opens(sealed)
    done = {"upstream credentials": "0", "signing keys": "0", "second factors": "0"}
    left = SubjectKey.objects.exclude(wrapped=None).count() - 2
    assert {what: count for count, what in re.findall(r"(\d+) (.*) sealed anew", reseal())} == {
        **done, "subject keys": str(left), "webhooks": "0", "chat connections": "0", "vendor test clients": "0",
        "client certificates": "0", "discovery sources": "0", "connected accounts": "0", "event streams": "0",
    }  # fmt: skip
    settings.KEY_ENCRYPTION_KEY_PREVIOUS = NONE
    opens(sealed)


def test_what_was_erased_or_withdrawn_stays_so(sealed: dict[str, Any], settings: Any) -> None:  # noqa: ANN401
    del sealed
    SubjectKey.objects.update(wrapped=None, erased_at="2026-01-01T00:00:00Z")
    signing.withdraw(signing.ensure("idp").kid, by=SYSTEM, reason="seen in a paste")
    replace(settings)
    reseal()
    assert not SubjectKey.objects.exclude(wrapped=None).exclude(subject__contains="system").exists()
    assert bytes(SigningKey.objects.get(state="withdrawn").sealed_private) == b""


def test_what_lies_under_a_third_key_is_said(sealed: dict[str, Any], settings: Any) -> None:  # noqa: ANN401
    del sealed
    replace(settings)
    settings.KEY_ENCRYPTION_KEY_PREVIOUS = env.Secret(os.urandom(32))
    with pytest.raises(CommandError, match="another KEY_ENCRYPTION_KEY"):
        reseal()
    Secret.objects.all().delete()
    SigningKey.objects.update(sealed_private=b"")
    Authenticator.objects.all().delete()
    with pytest.raises(CommandError, match="neither of the two"):
        reseal()


def test_the_secret_of_a_vendors_test_client_goes_along(settings: Any) -> None:  # noqa: ANN401
    system = make.vendor("maps")
    vendors.set_test_client(system, client_id="probe", value="a-secret-of-the-probe", by=SYSTEM)
    replace(settings)
    assert "1 vendor test clients sealed anew" in reseal()
    settings.KEY_ENCRYPTION_KEY_PREVIOUS = NONE
    sealed = bytes(Vendor.objects.get().test_secret or b"")
    assert seal.unseal(sealed, vendors.place(system.pk)) == b"a-secret-of-the-probe"


def test_it_says_why() -> None:
    with pytest.raises(CommandError):
        call_command("reseal", "--reason", " ")


SEALS = r"\bseal\.seal\((?!campaign_id, by=)"
"""Signing the evidence of a campaign off is called so as well, and keeps nothing secret."""


def test_whatever_is_sealed_is_sealed_anew_as_well() -> None:
    """A new place that seals needs its part in `governance/operations/key_rotation.py`."""
    found = {
        str(path.relative_to(tree.ROOT))
        for floor in ("audit", "entitlements", "governance")
        for path in (tree.ROOT / floor).rglob("*.py")
        if re.search(f"{SEALS}|encryption\\.encrypt\\(", path.read_text())
    }
    assert found == {
        "audit/personal_data.py",
        "entitlements/agent_discovery/sources.py",
        "entitlements/connected_accounts/connect.py",  # a sign-in under way lasts for minutes, and is begun anew
        "entitlements/connected_accounts/tokens.py",
        "entitlements/event_streams/poll_settings.py",
        "entitlements/event_streams/streams.py",  # sealed anew there
        "entitlements/keys/session_keys.py",  # under keys that are sealed, and with them sealed anew
        "entitlements/keys/signing.py",
        "entitlements/networks/certificates.py",
        "entitlements/node/shared/upstream_sessions.py",  # one that does not open any more is begun anew
        "entitlements/secrets/seal.py",  # for all the others
        "entitlements/secrets/vault.py",
        "entitlements/stdio/other_nodes.py",  # a message between nodes lives for seconds
        "entitlements/stdio_calls/probes.py",  # so does a probe
        "entitlements/vendors/vendors.py",
        "governance/chat/connections.py",
        "governance/sign_in/sessions.py",  # a sign-in lives for hours, and is made anew
        "governance/sign_in/allauth_adapter.py",
        "governance/webhooks/webhooks.py",
    }


@pytest.mark.parametrize("previous", ["", "kept"])
def test_the_web_process_does_not_start_with_a_key_that_opens_nothing(previous: str) -> None:
    signing.ensure("idp")
    other = base64.urlsafe_b64encode(os.urandom(32)).decode()
    given = {name: value for name, value in os.environ.items() if name not in {databases.RUN, databases.WORKER}}
    given |= {"KEY_ENCRYPTION_KEY": other, "DJANGO_SETTINGS_MODULE": "governance.settings"}
    if previous:
        given["KEY_ENCRYPTION_KEY_PREVIOUS"] = os.environ["KEY_ENCRYPTION_KEY"]
    started = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", "import governance.wsgi"],
        cwd=tree.ROOT, env=given, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert started.returncode == (0 if previous else 1), started.stderr
    if not previous:
        assert started.stderr.startswith(
            "The value was sealed under another KEY_ENCRYPTION_KEY. Set KEY_ENCRYPTION_KEY"
        )
        assert "Traceback" not in started.stderr
