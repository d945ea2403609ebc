"""`mandate audit verify`: whether the exported audit log is the one whose checkpoint was signed (RFC 9162).

What is checked here needs no trust in the server but for the key, which comes another way. `audit/verify.py` checks
kept copies, and that the numbers of each producer are dense.
"""

from __future__ import annotations

import base64
import hashlib
import io
import tempfile
from argparse import ArgumentParser, Namespace
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from . import output
from .exits import Ended, Exit
from .server import Server

_NO_KEY: Final = "The key is no verifier key (NAME+ID+BASE64)."
_ED25519: Final = b"\x01"
_HASH: Final = b',"hash":"'
_BODY: Final = b'{"body":'


@dataclass(frozen=True)
class Checkpoint:
    """A signed note: that the first `size` events have this root."""

    origin: str
    size: int
    root: bytes
    text: str
    signature: bytes

    @classmethod
    def read(cls, note: str) -> Checkpoint:
        """Read a note (C2SP). Raises Ended."""
        try:
            text, _, signatures = note.partition("\n\n")
            origin, size, root, *_ = text.split("\n")
            _dash, _name, signature = signatures.strip().split("\n")[0].split(" ")
            return cls(origin, int(size), _decoded(root), text + "\n", _decoded(signature))
        except ValueError as error:
            raise Ended(Exit.UNREACHABLE, "checkpoint_malformed", "The checkpoint cannot be read.") from error

    def is_signed_by(self, key: str) -> bool:
        """Return whether the key, as NAME+ID+BASE64, signed the note. Raises Ended for a text that is no such key."""
        try:
            name, key_id, encoded = key.strip().split("+", 2)
            blob = _decoded(encoded)
            public = Ed25519PublicKey.from_public_bytes(blob.removeprefix(_ED25519))
            key_hash = hashlib.sha256(name.encode() + b"\n" + blob).digest()[:4]
            fits = bytes.fromhex(key_id) == key_hash
        except ValueError as error:
            raise Ended(Exit.USAGE, "key_malformed", _NO_KEY) from error
        if not fits:
            raise Ended(Exit.USAGE, "key_malformed", _NO_KEY)
        if (name, self.signature[:4]) != (self.origin, key_hash):
            return False
        try:
            public.verify(self.signature[4:], self.text.encode())
        except InvalidSignature:
            return False
        return True


def describe(parser: ArgumentParser) -> None:
    """Add the option of the verb."""
    parser.add_argument("--key", metavar="KEY", help="the sealer's verifier key, or a file with it, got another way")


def verify(server: Server, arguments: Namespace) -> Exit:
    """Read checkpoint and events, and print whether the events are those that were signed. Raises Ended."""
    note = io.BytesIO()
    server.download("audit/checkpoint", {}, note)
    checkpoint = Checkpoint.read(note.getvalue().decode())
    with tempfile.TemporaryFile() as events:
        server.download("audit/export", {"to": str(checkpoint.size)}, events)
        events.seek(0)
        holds = root(events, checkpoint.size) == checkpoint.root
    is_signed = checkpoint.is_signed_by(_key(arguments.key)) if arguments.key else None
    row = {
        "events": checkpoint.size,
        "root": checkpoint.root.hex(),
        "events_are_as_sealed": holds,
        "checkpoint_is_signed_by_key": "not checked: name --key" if is_signed is None else is_signed,
    }
    output.card(row, as_json=arguments.json)
    if not holds or is_signed is False:
        raise Ended(Exit.REFUSED, "audit_log_tampered", "The audit log is not the one that was signed.")
    return Exit.DONE


def root(lines: Iterable[bytes], size: int) -> bytes:
    """Return the root over the first `size` lines of an export; empty where one is missing or is not in its form."""
    stack: list[bytes] = []
    count = 0
    for line in lines:
        end = line.rfind(_HASH)
        if not line.startswith(_BODY) or end < 0 or count == size:
            return b""
        leaf = hashlib.sha256(b"\x00" + line[len(_BODY) : end]).digest()
        count += 1
        rest = count
        while not rest & 1:
            leaf = hashlib.sha256(b"\x01" + stack.pop() + leaf).digest()
            rest >>= 1
        stack.append(leaf)
    return _joined(stack) if count == size and stack else b""


def _joined(stack: list[bytes]) -> bytes:
    top = stack[-1]
    for left in reversed(stack[:-1]):
        top = hashlib.sha256(b"\x01" + left + top).digest()
    return top


def _key(text: str) -> str:
    file = Path(text)
    return file.read_text(encoding="utf-8") if file.is_file() else text


def _decoded(text: str) -> bytes:
    return base64.b64decode(text, validate=True)
