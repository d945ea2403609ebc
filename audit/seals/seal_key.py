"""The sealer's signing key: an Ed25519 PEM file of its own, apart from the database and from every other key."""

import os
from pathlib import Path

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from audit import chain


class BadSealKey(RuntimeError):
    """The seal key file is missing or holds no Ed25519 private key."""

    code = "bad_seal_key"


def load(path: Path) -> Ed25519PrivateKey:
    """Read the key. Raises BadSealKey."""
    try:
        key = serialization.load_pem_private_key(path.read_bytes(), password=None)
    except (OSError, ValueError, TypeError) as error:
        raise BadSealKey(str(path)) from error
    if not isinstance(key, Ed25519PrivateKey):
        raise BadSealKey(str(path))
    return key


def create(path: Path, origin: str) -> Ed25519PrivateKey:
    """Make a key that only its owner may read, with the public verifier key beside it (`.vkey`). Never overwrites."""
    key = Ed25519PrivateKey.generate()
    pem = key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    path.parent.mkdir(parents=True, exist_ok=True)
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "wb") as file:
        file.write(pem)
        file.flush()
        os.fsync(file.fileno())
    export(path, origin, key)
    return key


def export(path: Path, origin: str, key: Ed25519PrivateKey) -> Path:
    """Write the verifier key (C2SP) next to the private one, for verifiers."""
    public = path.with_suffix(".vkey")
    public.write_text(chain.vkey(origin, key.public_key()) + "\n", encoding="utf-8")
    return public
