"""Verify an exported record offline: `python verify.py EXPORT --checkpoint FILE --key VKEY [--own NOTE]`.

One file, without Django or anything else of the product, so that an auditor can read it whole and need not trust the
installation. EXPORT holds one leaf a line, as `manage.py record_export` writes them; FILE holds the signed checkpoints
(C2SP signed notes) that were kept outside the database; VKEY is the sealer's public key, obtained by another way.

NOTE, where it is given, is the export's own checkpoint, as `record_export --checkpoint` wrote it beside the export: how
far the log had been signed by then. Without it, an export that ends before the newest checkpoint counts as cut short.
`--columns COLUMNS` holds by what the database finds each event, as `record_export --columns` writes it.

Checks that every line is in its place, that its hash is that of its bytes (RFC 9162: SHA-256(0x00 || body)), that each
producer's numbers are dense, that the root over the first n leaves is the one signed for n, for every checkpoint, and
that no checkpoint covers more than there is; with COLUMNS also that the database finds each event by what its body
says. Exit status: 0 proven; 3 proven up to its own checkpoint, where newer ones cover events that are not here; 1
tampered with, or too old; 2 the input cannot be used.
"""

import argparse
import base64
import hashlib
import json
import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import nullcontext
from dataclasses import dataclass, field
from datetime import UTC, datetime
from itertools import pairwise
from pathlib import Path
from typing import Any, NamedTuple

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

try:  # several times faster, and only that
    import msgspec

    _decode: Callable[[bytes], Any] = msgspec.json.decode
except ImportError:  # pragma: no cover - the verifier must also run where it is not installed
    msgspec, _decode = None, json.loads  # type: ignore[assignment]


class TamperedError(Exception):
    """The record is not the one that was sealed. `index` is the first bad leaf, or where the bad range begins."""

    def __init__(self, index: int, message: str) -> None:
        super().__init__(message)
        self.index = index


class UnusableError(Exception):
    """The input is no export, no checkpoint file, or no key."""


class Key(NamedTuple):
    """A pinned verifier key."""

    name: str
    id: bytes
    public: Ed25519PublicKey


class Head(NamedTuple):
    """One signed head."""

    size: int
    root: bytes
    signed_at: str


@dataclass(slots=True)
class Report:
    """What was verified."""

    events: int = 0
    covered: int = 0
    checkpoints: int = 0
    signed_at: str = ""
    own: Head | None = None
    """The head that the export must reach, where it has one of its own; else the newest."""
    later: int = 0
    """How many events newer checkpoints cover, where the export ends at its own."""
    notes: list[str] = field(default_factory=list)


# ------------------------------------------------------------------------------------------- keys and checkpoints


def parse_key(text: str) -> Key:
    """Read a C2SP verifier key: name+id+base64(0x01 || public key)."""
    try:
        name, key_id, encoded = text.strip().split("+", 2)
        blob = base64.b64decode(encoded, validate=True)
        expected = hashlib.sha256(name.encode() + b"\n" + blob).digest()[:4]
        fits = blob[:1] == b"\x01" and bytes.fromhex(key_id) == expected
        public = Ed25519PublicKey.from_public_bytes(blob[1:])
    except ValueError as error:
        message = "the key is no verifier key (name+id+base64)"
        raise UnusableError(message) from error
    if not fits:
        message = "the key is no verifier key: its id does not fit"
        raise UnusableError(message)
    return Key(name, expected, public)


def read_heads(text: str, key: Key, report: Report) -> list[Head]:
    """Take the heads that `key` signed from a file of notes, by size. Raises TamperedError for a false signature."""
    heads: dict[int, Head] = {}
    others = 0
    blocks = [block.strip("\n") for block in text.split("\n\n") if block.strip("\n")]
    for body, signatures in pairwise(blocks):
        if not signatures.startswith("\u2014 ") or body.startswith("\u2014 "):
            continue
        head = _open(f"{body}\n", signatures, key)
        if head is None:
            others += 1
            continue
        known = heads.get(head.size)
        if known and known.root != head.root:
            raise TamperedError(0, f"two different roots are signed for the first {head.size} events")
        heads[head.size] = head
    if others:
        report.notes.append(f"{others} checkpoints by other keys or names were left aside")
    if not heads:
        raise TamperedError(0, "no checkpoint in the file was signed by this key")
    return [heads[size] for size in sorted(heads)]


def _open(body: str, signatures: str, key: Key) -> Head | None:
    for line in signatures.splitlines():
        parts = line.split(" ")
        if len(parts) != 3 or parts[1] != key.name:  # noqa: PLR2004 - dash, name, signature
            continue
        try:
            blob = base64.b64decode(parts[2], validate=True)
            origin, size, root, *rest = body.removesuffix("\n").split("\n")
            head = Head(int(size), base64.b64decode(root, validate=True), _signed_at(rest))
        except ValueError as error:
            raise TamperedError(0, f"a checkpoint of {key.name} is malformed") from error
        try:
            key.public.verify(blob[4:] if (origin, blob[:4]) == (key.name, key.id) else b"", body.encode())
        except InvalidSignature as error:
            message = f"the checkpoint of {head.size} events is not signed by this key"
            raise TamperedError(max(0, head.size - 1), message) from error
        return head
    return None


def _signed_at(extensions: Iterable[str]) -> str:
    return next((line[10:] for line in extensions if line.startswith("signed-at ")), "")


# ------------------------------------------------------------------------------------------------------ the leaves


def _reader() -> Callable[[bytes], tuple[str, int, str]]:
    """Return what reads (producer, sequence, action) from a body."""
    if msgspec is None:

        def read(body: bytes) -> tuple[str, int, str]:
            values = json.loads(body)
            return values["producer"], values["sequence"], values["action"]

        return read
    shape = msgspec.defstruct("Body", [("producer", str), ("sequence", int), ("action", str)], gc=False)
    decode = msgspec.json.Decoder(shape).decode

    def read_fast(body: bytes) -> tuple[str, int, str]:
        values: Any = decode(body)
        return values.producer, values.sequence, values.action

    return read_fast


def _check_ended(body: bytes, index: int, produced: dict[str, int]) -> None:
    """A producer whose last commit is in doubt is ended by a marker: what surely committed before it must be here."""
    detail = json.loads(body)["detail"]
    have = produced.get(detail["producer"], 0)
    if have < detail["committed"]:
        message = f"event {index} ends a producer that wrote {detail['committed']} events, of which {have} are here"
        raise TamperedError(index, message)


def _take_apart(line: bytes, at: int) -> tuple[bytes, str, int]:
    """Split {"body":{...},"hash":"...","index":N}, whose body is kept byte for byte, at fixed places from its end."""
    end = line.rfind(b',"hash":"')
    start = 8
    tail = line[end + 9 :].rstrip(b"\r\n")
    if not line.startswith(b'{"body":') or end < start or tail[64:74] != b'","index":' or tail[-1:] != b"}":
        message = f"line {at + 1} of the export is not a leaf"
        raise UnusableError(message)
    try:
        return line[start:end], tail[:64].decode("ascii"), int(tail[74:-1])
    except ValueError as error:
        message = f"line {at + 1} of the export is not a leaf"
        raise UnusableError(message) from error


def _check_columns(body: bytes, line: bytes, index: int) -> None:
    """Compare by what the database finds an event with what its body says: no leaf covers the database's columns."""
    try:
        have, stated = _decode(line), _decode(body)
        at = have.pop("index")
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        message = f"line {index + 1} of the columns is none, or missing"
        raise UnusableError(message) from error
    if at != index:
        message = f"line {index + 1} of the columns is about event {at}"
        raise UnusableError(message)
    try:
        who = {each for each in (stated["actor"], stated["on_behalf_of"]) if each not in {None, "system:mandate"}}
        session = {f"session:{stated['session']}"} if stated["session"] else set()
        due = {name: stated[name] for name in ("action", "at", "producer", "sequence", "trace", "uuid")}
        due["links"] = sorted({*stated["links"], *who, *session})
    except (KeyError, TypeError) as error:
        raise TamperedError(index, f"event {index} does not say what finds it") from error
    have["links"] = sorted(have.get("links") or [])
    for name, value in due.items():
        if have.get(name) != value:
            message = f"the database finds event {index} by {name} {have.get(name)!r}, where its body says {value!r}"
            raise TamperedError(index, message)


def verify(  # noqa: C901, PLR0912 - one hot loop
    lines: Iterable[bytes], heads: Sequence[Head], report: Report, columns: Iterator[bytes] | None = None
) -> Report:
    """Go through the leaves once. Raises TamperedError or UnusableError."""
    read, sha256 = _reader(), hashlib.sha256
    produced: dict[str, int] = {}
    stack: list[bytes] = []
    waiting = list(reversed(heads))
    last, count = 0, 0
    while waiting and waiting[-1].size == 0:
        waiting.pop()
    due = waiting[-1].size if waiting else -1
    for line in lines:
        body, stated, index = _take_apart(line, count)
        if index != count:
            raise TamperedError(count, f"event {count} is missing: event {index} stands in its place")
        leaf = sha256(b"\x00" + body).digest()
        if leaf.hex() != stated:
            raise TamperedError(count, f"event {count} was altered: its bytes do not have the hash of its leaf")
        try:
            producer, sequence, action = read(body)
            if action == "producer.ended":
                _check_ended(body, count, produced)
        except (ValueError, KeyError, TypeError) as error:
            raise TamperedError(count, f"event {count} does not name its producer and number") from error
        expected = produced.get(producer, 0) + 1
        if sequence != expected:
            message = f"event {count} is number {sequence} of its producer, where number {expected} was due"
            raise TamperedError(count, message)
        produced[producer] = sequence
        if columns is not None:
            _check_columns(body, next(columns, b""), count)
        count += 1
        rest = count
        while not rest & 1:
            leaf = sha256(b"\x01" + stack.pop() + leaf).digest()
            rest >>= 1
        stack.append(leaf)
        if count == due:
            if _root(stack) != waiting.pop().root:
                message = f"among events {last} to {count - 1} one is not what was sealed: the signed root differs"
                raise TamperedError(last, message)
            last, due = count, waiting[-1].size if waiting else -1
    if waiting:
        report.later = _check_reached(count, waiting[0].size, report.own)
    report.events, report.covered, report.checkpoints = count, last, len(heads) - len(waiting)
    report.signed_at = next((head.signed_at for head in reversed(heads) if head.size == last), "")
    if last < count:
        report.notes.append(f"{count - last} events are newer than the last checkpoint, and not yet covered by one")
    return report


def _check_reached(count: int, due: int, own: Head | None) -> int:
    """Return how many events newer checkpoints cover. Raises TamperedError where events are missing."""
    if own is not None and count >= own.size:
        return due
    end = due if own is None else own.size
    raise TamperedError(count, f"events {count} to {end - 1} are missing: a checkpoint covers them")


def _root(stack: Sequence[bytes]) -> bytes:
    root = stack[-1]
    for left in reversed(stack[:-1]):
        root = hashlib.sha256(b"\x01" + left + root).digest()
    return root


def check_age(head: Head, max_age: float) -> None:
    """Raise TamperedError when the newest checkpoint was signed more than `max_age` seconds ago."""
    try:
        age = (datetime.now(UTC) - datetime.fromisoformat(head.signed_at)).total_seconds()
    except (ValueError, TypeError) as error:
        raise TamperedError(head.size, "the newest checkpoint does not say when it was signed") from error
    if age > max_age:
        raise TamperedError(head.size, f"the newest checkpoint is {age:.0f} s old, more than {max_age:.0f}")


# ---------------------------------------------------------------------------------------------------- command line


def main(arguments: Sequence[str] | None = None) -> int:
    """Verify, say so in a sentence, and return the exit status."""
    parser = argparse.ArgumentParser(prog="verify", description="Verify an exported record against signed checkpoints.")
    parser.add_argument("export", type=Path)
    parser.add_argument("--checkpoint", type=Path, required=True, help="file of signed checkpoints")
    parser.add_argument("--key", required=True, help="the sealer's verifier key, or a file that holds it")
    parser.add_argument("--own", type=Path, help="the checkpoint that was written beside the export")
    parser.add_argument("--columns", type=Path, help="by what the database finds each event, to compare with it")
    parser.add_argument("--max-age", type=float, help="refuse a newest checkpoint older than this many seconds")
    options = parser.parse_args(arguments)
    report = Report()
    try:
        key = parse_key(Path(options.key).read_text("utf-8") if Path(options.key).is_file() else options.key)
        notes = options.checkpoint.read_text("utf-8")
        if options.own is not None:
            beside = options.own.read_text("utf-8")
            report.own, notes = read_heads(beside, key, Report())[-1], f"{notes}\n\n{beside}"
        heads = read_heads(notes, key, report)
        with options.export.open("rb") as lines, options.columns.open("rb") if options.columns else nullcontext() as by:
            verify(lines, heads, report, by)
        if options.max_age is not None:
            check_age(heads[-1], options.max_age)
    except TamperedError as found:
        _say(f"TAMPERED at index {found.index}: {found}.")
        return 1
    except (UnusableError, OSError, UnicodeDecodeError) as problem:
        _say(f"UNUSABLE: {problem}.")
        return 2
    _say(
        f"PROVEN{' UP TO ITS OWN CHECKPOINT' if report.later else ''}: {report.covered} of {report.events} events are"
        f" covered by {report.checkpoints} signed checkpoints, the newest of {report.signed_at or 'unknown time'}."
    )
    if report.later:
        _say(
            f"Newer checkpoints cover {report.later} events. Verify a newer export to see that those go on from these."
        )
    for note in report.notes:
        _say(f"Note: {note}.")
    return 3 if report.later else 0


def _say(sentence: str) -> None:
    sys.stdout.write(f"{sentence}\n")


if __name__ == "__main__":
    sys.exit(main())
