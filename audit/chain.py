"""Pure: canonical JSON (RFC 8785), the Merkle tree (RFC 9162) and its proofs, signed checkpoints (C2SP)."""

import base64
import hashlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Final

import msgspec
import rfc8785
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

EMPTY_ROOT: Final = hashlib.sha256(b"").digest()
STRIDE: Final = 8
"""Every eighth level of the tree is stored, so that a proof reads at most 2^8 hashes a level."""

_encode = msgspec.json.Encoder(order="sorted").encode


def canonical(value: object) -> bytes:
    """Return the canonical bytes of a JSON value (RFC 8785).

    Plain values (no floats, ASCII keys) go through a fast encoder whose output is the same, byte for byte; the rest
    through the reference. Raises ValueError where no canonical form exists.
    """
    if _is_plain(value):
        return _encode(value)
    return rfc8785.dumps(value)  # type: ignore[arg-type]  # it checks the types itself


def _is_plain(value: object) -> bool:
    kind = type(value)
    if kind is str:
        return value.isascii() or not any("\ud800" <= c <= "\udfff" for c in value)  # type: ignore[attr-defined]
    if kind is int:
        return -(2**53) < value < 2**53  # type: ignore[operator]
    if value is None or kind is bool:
        return True
    if kind is dict:
        return all(type(k) is str and k.isascii() and _is_plain(v) for k, v in value.items())  # type: ignore[attr-defined]
    if kind is list:
        return all(map(_is_plain, value))  # type: ignore[call-overload]
    return False


def leaf_hash(data: bytes) -> bytes:
    """Hash one entry: SHA-256(0x00 || data), RFC 9162 section 2.1.1."""
    return hashlib.sha256(b"\x00" + data).digest()


def node_hash(left: bytes, right: bytes) -> bytes:
    """Hash two subtrees: SHA-256(0x01 || left || right)."""
    return hashlib.sha256(b"\x01" + left + right).digest()


@dataclass(slots=True)
class Frontier:
    """The right edge of a growing tree: one hash for each perfect subtree, largest first. Enough to go on from."""

    size: int = 0
    hashes: list[bytes] = field(default_factory=list)

    def append(self, leaf: bytes) -> Iterator[tuple[int, int, bytes]]:
        """Add a leaf hash; yield (level, position, hash) of each stored-level subtree that it completes."""
        self.size += 1
        level, count = 0, self.size
        while not count & 1:
            leaf = node_hash(self.hashes.pop(), leaf)
            level, count = level + 1, count >> 1
            if level % STRIDE == 0:
                yield level, count - 1, leaf
        self.hashes.append(leaf)

    def root(self) -> bytes:
        """The root of the tree so far."""
        if not self.hashes:
            return EMPTY_ROOT
        root = self.hashes[-1]
        for left in reversed(self.hashes[:-1]):
            root = node_hash(left, root)
        return root


def root_of(leaves: Sequence[bytes]) -> bytes:
    """The root over leaf hashes (RFC 9162 section 2.1.1)."""
    frontier = Frontier()
    for leaf in leaves:
        for _ in frontier.append(leaf):
            pass
    return frontier.root()


type Subtree = Callable[[int, int], bytes]
"""(begin, end) -> root over the leaves begin..end-1."""


def _split(size: int) -> int:
    return 1 << ((size - 1).bit_length() - 1)


def inclusion_proof(index: int, size: int, subtree: Subtree) -> list[bytes]:
    """The path that shows leaf `index` in the tree of `size` leaves (RFC 9162 section 2.1.3.1)."""
    if not 0 <= index < size:
        message = f"no leaf {index} in a tree of {size}"
        raise ValueError(message)
    begin, end, path = 0, size, list[bytes]()
    while end - begin > 1:
        middle = begin + _split(end - begin)
        if index < middle:
            path.append(subtree(middle, end))
            end = middle
        else:
            path.append(subtree(begin, middle))
            begin = middle
    return path[::-1]


def verify_inclusion(leaf: bytes, index: int, size: int, path: Sequence[bytes], root: bytes) -> bool:
    """Check an inclusion proof (RFC 9162 section 2.1.3.2)."""
    if not 0 <= index < size:
        return False
    node, last, current = index, size - 1, leaf
    for step in path:
        if last == 0:
            return False
        if node & 1 or node == last:
            current = node_hash(step, current)
            while not node & 1 and node:
                node, last = node >> 1, last >> 1
        else:
            current = node_hash(current, step)
        node, last = node >> 1, last >> 1
    return last == 0 and current == root


def consistency_proof(old: int, size: int, subtree: Subtree) -> list[bytes]:
    """The nodes that show the tree of `old` leaves as a beginning of that of `size` (RFC 9162 section 2.1.4.1)."""
    if not 0 < old <= size:
        message = f"no tree of {old} inside one of {size}"
        raise ValueError(message)
    begin, end, whole, path = 0, size, True, list[bytes]()
    while old != end:
        middle = begin + _split(end - begin)
        if old <= middle:
            path.append(subtree(middle, end))
            end = middle
        else:
            path.append(subtree(begin, middle))
            begin, whole = middle, False
    if not whole:
        path.append(subtree(begin, end))
    return path[::-1]


def verify_consistency(old: int, size: int, old_root: bytes, root: bytes, path: Sequence[bytes]) -> bool:
    """Check a consistency proof (RFC 9162 section 2.1.4.2)."""
    if not 0 < old <= size:
        return False
    if old == size:
        return not path and old_root == root
    steps = [old_root, *path] if old & (old - 1) == 0 else list(path)
    if not steps:
        return False
    node, last = old - 1, size - 1
    while node & 1:
        node, last = node >> 1, last >> 1
    first = second = steps[0]
    for step in steps[1:]:
        if last == 0:
            return False
        if node & 1 or node == last:
            first, second = node_hash(step, first), node_hash(step, second)
            while not node & 1 and node:
                node, last = node >> 1, last >> 1
        else:
            second = node_hash(second, step)
        node, last = node >> 1, last >> 1
    return last == 0 and first == old_root and second == root


class BadNote(ValueError):
    """The text is no checkpoint that this key signed."""


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """A head of the log: C2SP tlog-checkpoint, with one extension line that says when it was signed."""

    origin: str
    size: int
    root: bytes
    signed_at: str = ""

    def text(self) -> str:
        """The bytes that are signed."""
        extension = f"signed-at {self.signed_at}\n" if self.signed_at else ""
        return f"{self.origin}\n{self.size}\n{base64.b64encode(self.root).decode()}\n{extension}"

    @classmethod
    def parse(cls, text: str) -> "Checkpoint":
        """Read a checkpoint's body. Raises BadNote."""
        try:
            origin, size, root, *extensions = text.removesuffix("\n").split("\n")
            signed = next((line[10:] for line in extensions if line.startswith("signed-at ")), "")
            parsed = cls(origin, int(size), base64.b64decode(root, validate=True), signed)
        except ValueError as error:
            message = "not a checkpoint"
            raise BadNote(message) from error
        if str(parsed.size) != size or parsed.size < 0 or len(parsed.root) != 32 or not origin:  # noqa: PLR2004 - SHA-256
            message = "not a checkpoint"
            raise BadNote(message)
        return parsed


def key_id(name: str, public: bytes) -> bytes:
    """The four bytes that tell keys apart in a signed note (C2SP signed-note, Ed25519 is 0x01)."""
    return hashlib.sha256(name.encode() + b"\n\x01" + public).digest()[:4]


def public_bytes(key: Ed25519PublicKey) -> bytes:
    """The raw 32 bytes of a public key."""
    return key.public_bytes(Encoding.Raw, PublicFormat.Raw)


def vkey(name: str, key: Ed25519PublicKey) -> str:
    """The verifier key in C2SP form: name+hash+base64."""
    public = public_bytes(key)
    return f"{name}+{key_id(name, public).hex()}+{base64.b64encode(b'\x01' + public).decode()}"


def sign(checkpoint: Checkpoint, key: Ed25519PrivateKey) -> str:
    """Return the signed note. The key's name is the log's origin, as C2SP tlog-checkpoint recommends."""
    return sign_text(checkpoint.text(), checkpoint.origin, key)


def sign_text(text: str, name: str, key: Ed25519PrivateKey) -> str:
    """Return a signed note (C2SP) of a text that ends its last line; `name` is the key's name in this use."""
    signature = key_id(name, public_bytes(key.public_key())) + key.sign(text.encode())
    return f"{text}\n\u2014 {name} {base64.b64encode(signature).decode()}\n"


def open_note(note: str, name: str, key: Ed25519PublicKey) -> Checkpoint:
    """Return the checkpoint that `key` signed. Raises BadNote."""
    return Checkpoint.parse(open_text(note, name, key))


def open_text(note: str, name: str, key: Ed25519PublicKey) -> str:
    """Return the text that `key` signed under a name. Raises BadNote; signatures by other keys are ignored (C2SP)."""
    text, separator, signatures = note.rpartition("\n\n")
    for line in signatures.splitlines() if separator else ():
        try:
            dash, signer, encoded = line.split(" ")
            blob = base64.b64decode(encoded, validate=True)
        except ValueError as error:
            message = "malformed signature line"
            raise BadNote(message) from error
        if dash == "\u2014" and signer == name and blob[:4] == key_id(name, public_bytes(key)):
            try:
                key.verify(blob[4:], f"{text}\n".encode())
            except InvalidSignature as error:
                message = "the signature does not fit the text"
                raise BadNote(message) from error
            return f"{text}\n"
    message = "not signed by this key"
    raise BadNote(message)


def format_time(at: datetime) -> str:
    """The moment of signing, to the second."""
    return at.strftime("%Y-%m-%dT%H:%M:%SZ")
