"""The check of the newest checkpoint where it stands: what it proves, and that it notices what was altered."""

from __future__ import annotations

from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from pytest_django.fixtures import Settings

from audit import chain
from audit.seals import seal_check
from tests.audit import make

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def vkey(archive: make.Archive, settings: Settings) -> Path:
    settings.SEAL_KEY_FILE = str(archive.folder / "seal.pem")
    path = archive.folder / "seal.vkey"
    path.write_text(archive.vkey, encoding="utf-8")
    return path


def test_it_says_what_the_newest_checkpoint_proves(archive: make.Archive, vkey: Path, settings: Settings) -> None:
    assert seal_check.check() is None
    make.events(3)
    archive.seal()
    make.events(300)
    archive.seal()
    checked = seal_check.check()
    assert checked is not None
    assert (checked.size, checked.before, checked.events) == (303, 3, 303)
    assert (checked.signature, checked.tree, checked.continues, checked.altered) == (True, True, True, None)
    assert checked.holds
    assert checked.signers == (make.ORIGIN,)
    vkey.write_text(chain.vkey(make.ORIGIN, Ed25519PrivateKey.generate().public_key()), encoding="utf-8")
    other = seal_check.check()
    assert other is not None
    assert (other.signature, other.holds) == (False, False)
    settings.SEAL_KEY_FILE = ""
    without = seal_check.check()
    assert without is not None
    assert (without.signature, without.holds) == (None, True)


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE events SET body = replace(body, '\"n\":1}', '\"n\":7}')",
        "DELETE FROM events WHERE body LIKE '%\"n\":1}%'",
    ],
)
def test_it_notices_an_event_that_was_altered_or_removed(archive: make.Archive, statement: str) -> None:
    make.events(4)
    archive.seal()
    make.tamper(statement)
    checked = seal_check.check()
    assert checked is not None
    assert (checked.altered, checked.holds) == (1, False)


def test_it_notices_an_event_that_was_altered_together_with_its_leaf(archive: make.Archive) -> None:
    make.events(300)
    archive.seal()
    make.tamper(
        """
        UPDATE events SET body = replace(body, '"n":1}', '"n":7}');
        UPDATE leaves SET hash = sha256('\\x00'::bytea || convert_to(events.body, 'UTF8'))
        FROM events WHERE events.uuid = leaves.uuid
        """
    )
    checked = seal_check.check()
    assert checked is not None
    assert checked.tree, "the nodes above the first 256 leaves are as they were"
    assert (checked.altered, checked.holds) == (255, False), "none of those is in the tree any more"
