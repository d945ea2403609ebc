"""What tests of the record share."""

from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from tests.audit import make


@pytest.fixture
def archive(tmp_path: Path) -> "make.Archive":
    """Return a folder outside the database, with a signing key."""
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey  # noqa: PLC0415

    from tests.audit import make  # noqa: PLC0415 - it imports models, and this file is read before the settings are known

    return make.Archive(tmp_path, Ed25519PrivateKey.generate())
