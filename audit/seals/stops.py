"""What ended or suspended access, kept outside the database too: a restored backup must not bring it back.

The sealer writes a line for each such event in the transaction that seals it, and gives each anchor, before the
checkpoint, signed notes with the lines that it lacks. A note covers the events `first` to `size`, so that a gap between
notes shows. It says who and what by their links alone, never why.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from itertools import batched
from typing import Any, Final

import psycopg
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

from audit import bodies, chain, clock
from audit.actions import Action
from audit.seals import anchors

STOPS: Final = frozenset(
    {
        *(Action.AGENT_RETIRED, Action.AGENT_SUSPENDED, Action.BUDGET_SET),
        *(Action.CLIENT_CERTIFICATE_FORGOTTEN, Action.CLIENT_CLOSED, Action.CLIENT_CREDENTIAL_ROTATED),
        *(Action.CLIENT_DELETED, Action.CLIENT_DISABLED, Action.CLIENT_KEYS_REPLACED, Action.CLIENT_SECRET_ROTATED),
        *(Action.CONNECTED_ACCOUNT_BROKEN, Action.CONNECTED_ACCOUNT_CLIENTS_CHANGED, Action.CONNECTED_ACCOUNT_ENDED),
        *(Action.CONNECTION_ENDED, Action.CONNECTOR_REVOKED, Action.CREDENTIAL_POLICY_PUBLISHED),
        *(Action.DELEGATION_WITHDRAWN, Action.ENTITLEMENT_EDITED, Action.GRANT_REDUCED, Action.GRANT_REVOKED),
        *(Action.GRANT_SUSPENDED, Action.GROUP_LEFT, Action.GUARDRAIL_PUBLISHED, Action.ISSUER_CHANGED),
        *(Action.ISSUER_DISTRUSTED, Action.KEY_RETIRED, Action.KEY_WITHDRAWN, Action.KILL_SWITCH_ENGAGED),
        *(Action.PERSON_DISABLED, Action.PERSON_ROLE_REMOVED, Action.POLICY_DOMAIN_LOADED),
        *(Action.REVOCATION_COMMITTED, Action.RISK_SIGNALLED, Action.SECRET_FORGOTTEN, Action.SECRET_WITHHELD),
        *(Action.SESSION_POLICY_CONFIRMED, Action.STDIO_COMMAND_ENDED, Action.SYSTEM_DISABLED, Action.SYSTEM_EDITED),
        *(Action.SYSTEM_NETWORK_ENDED, Action.TOOL_CHANGED, Action.TOOL_DISABLED, Action.TOOL_QUARANTINED),
        *(Action.TOOL_REMOVED, Action.WORKLOAD_RULE_ENDED),
    }
)
"""Events that may take access away. What expires by itself does so in a restored database too, and a restore ends every
token, session and sign-in, so those have no line of their own.
"""
_LINES_OF_A_NOTE: Final = 20
"""So that a note fits what `anchors.File.last` reads from the end."""

_KEPT: Final = "SELECT index, line FROM stops WHERE index >= %s AND index < %s ORDER BY index"
_BEGIN: Final = "SELECT coalesce(min(index), %s) FROM stops WHERE kept_at IS NULL OR %s"
_TELL: Final = "UPDATE stops SET kept_at = %s WHERE kept_at IS NULL AND index < %s"
_TAKEN: Final = "SELECT note FROM anchor_states WHERE name = %s"

type Row = tuple[Any, ...]


@dataclass(frozen=True, slots=True)
class Note:
    """The stops among the events `first` to `size` (without it) of a log, one line each."""

    origin: str
    first: int
    size: int
    lines: tuple[str, ...] = ()

    def sign(self, key: Ed25519PrivateKey) -> str:
        """Return the signed note. Its key has a name of its own, so that it is never taken for a checkpoint."""
        text = "\n".join([name(self.origin), f"{self.first} {self.size}", *self.lines, ""])
        return chain.sign_text(text, name(self.origin), key)

    @classmethod
    def read(cls, note: str, key: Ed25519PublicKey) -> Note:
        """Read a note that this key signed. Raises BadNote."""
        named = note.partition("\n")[0]
        _, covers, *lines = chain.open_text(note, named, key).removesuffix("\n").split("\n")
        first, _, size = covers.partition(" ")
        return cls(named.removesuffix("/stops"), int(first), int(size), tuple(lines))


@dataclass(frozen=True, slots=True)
class Outside:
    """What is kept outside of the time after a backup: stops, in order, and whether none of them can be missing."""

    lines: tuple[dict[str, Any], ...] = ()
    is_whole: bool = False
    until: str = ""
    """When the newest checkpoint outside was signed; empty where there is none."""


def since(places: Iterable[anchors.Anchor], key: Ed25519PublicKey, origin: str, size: int) -> Outside:
    """Return what the anchors have, together, of the time after the first `size` events of a log.

    It is whole where their notes go on from there without a gap, as far as their checkpoints do; else it holds every
    stop. An anchor that has nothing is passed over, since what a receipt calls kept is in all; one that cannot be read,
    or holds what this key did not sign, may hide a stop.
    """
    heads: list[chain.Checkpoint] = []
    notes: list[Note] = []
    is_whole = True
    for place in places:
        for each in _read(place, lambda text: chain.open_note(text, text.partition("\n")[0], key)):
            is_whole &= each is not None
            heads += [each] if each else []
            if each and each.origin == origin:
                break
        for note in _read(place.beside("stops"), lambda text: Note.read(text, key)):
            is_whole &= note is not None
            notes += [note] if note else []
            if note and note.origin == origin and note.first <= size:
                break
    signed: dict[str, str] = {}
    for head in heads:
        signed[head.origin] = max(signed.get(head.origin, ""), head.signed_at)
    begins = any(note.origin == origin and note.first <= size <= note.size for note in notes)
    earlier = {each for each, at in signed.items() if begins and at < signed.get(origin, "")}
    covered, known = {origin: size}, dict[tuple[str, int], dict[str, Any]]()
    for note in sorted(notes, key=lambda note: (note.first, note.size)):
        if note.origin not in earlier:
            is_whole &= note.first <= covered.get(note.origin, note.first)
            covered[note.origin] = max(note.size, covered.get(note.origin, 0))
            known |= {(note.origin, line["index"]): line for line in map(bodies.parse, note.lines)}
    is_whole &= begins and all(
        head.size <= covered.get(head.origin, -1) for head in heads if head.origin not in earlier
    )
    lines = [
        line | {"origin": of} for (of, index), line in known.items() if not begins or of != origin or index >= size
    ]
    lines.sort(key=lambda line: line["at"])
    return Outside(tuple(lines), is_whole and origin in signed, max(signed.values(), default=""))


def _read[T](place: anchors.Anchor, read: Callable[[str], T]) -> Iterator[T | None]:
    """Read an anchor's notes, the newest first; None stands for each that this key did not sign, and for the rest."""
    try:
        for text in place.notes():
            try:
                yield read(text)
            except ValueError:  # BadNote is one
                yield None
    except FileNotFoundError:
        return
    except (OSError, UnicodeDecodeError):
        yield None


def name(origin: str) -> str:
    """Return the name under which the stops of a log are signed."""
    return f"{origin}/stops"


def line(index: int, body: str) -> str | None:
    """Return the line of an event that is a stop, else None."""
    if not any(f'"{action}"' in body for action in STOPS):
        return None  # most events are calls: they are not parsed
    event = bodies.parse(body)
    is_held = event["action"] != Action.RISK_SIGNALLED or event["detail"].get("response") == "hold"
    if event["action"] not in STOPS or not is_held:
        return None
    kept = {"index": index, "uuid": event["uuid"], "at": event["at"], "action": event["action"]}
    detail = {key: event["detail"][key] for key in ("target", "role") if key in event["detail"]}
    return chain.canonical({**kept, "links": event["links"], **detail}).decode()


def publish(
    connection: psycopg.Connection[Any], anchor: anchors.Anchor, origin: str, key: Ed25519PrivateKey, size: int
) -> None:
    """Give an anchor the stops that it lacks among the first `size` events.

    An empty one begins with the first stop that has a line; a restored log with what nothing has kept yet. Raises
    OSError, and BadNote where it ends with what is not ours.
    """
    file = anchor.beside("stops")
    last, public = file.last() if anchor.is_readable else newest(connection, anchor), key.public_key()
    known: Note | chain.Checkpoint | None = None
    if last:
        of = last.partition("\n")[0]
        known = Note.read(last, public) if anchor.is_readable else chain.open_note(last, of, public)
    if known is not None and known.origin == origin:
        first = known.size
    else:
        first = next(index for (index,) in connection.execute(_BEGIN, [size, not last]))
    rows = connection.execute(_KEPT, [first, size]).fetchall()
    for note in _notes(rows, origin, first, size) if first < size else ():
        file.publish(note.sign(key))


def newest(connection: psycopg.Connection[Any], anchor: anchors.Anchor) -> str:
    """Return the newest checkpoint of an anchor; of one that cannot be read, what it took last. Raises OSError."""
    if anchor.is_readable:
        return anchor.last()
    return next((note for (note,) in connection.execute(_TAKEN, [str(anchor)])), "")


def tell(connection: psycopg.Connection[Any], size: int) -> None:
    """Say that the stops among the first `size` events are in every anchor."""
    connection.execute(_TELL, [clock.now(), size])


def _notes(rows: Iterable[Row], origin: str, first: int, size: int) -> list[Note]:
    parts = list(batched(rows, _LINES_OF_A_NOTE)) or [()]
    ends = [*(part[-1][0] + 1 for part in parts[:-1]), size]
    begins = [first, *ends[:-1]]
    return [
        Note(origin, begin, end, tuple(line for _, line in part))
        for begin, end, part in zip(begins, ends, parts, strict=True)
    ]
