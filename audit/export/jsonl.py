"""JSON Lines: one leaf a line, its body byte for byte, in the form that `audit/verify.py` reads."""

import json
from collections.abc import Iterator
from datetime import datetime

from audit import personal_data, redaction, stream
from audit.models import Leaf


def lines(first: int = 0, last: int | None = None) -> Iterator[bytes]:
    """Yield the leaves first..last-1 (all, by default) as lines `{"body":...,"hash":"...","index":n}`.

    A leaf without its event is written with a null body: the verifier names it.
    """
    for leaves in stream.chunks(first, last):
        yield "".join(
            f'{{"body":{"null" if body is None else body},"hash":"{digest}","index":{index}}}\n'
            for index, digest, body in stream.columns(leaves, "l.index, encode(l.hash, 'hex'), e.body")
        ).encode()


def columns(first: int = 0, last: int | None = None) -> Iterator[bytes]:
    """Yield by what the database finds the events of the leaves first..last-1, one line a leaf, nulls for a lost one.

    No leaf covers these columns: the verifier compares them with the bodies, which hold the same.
    """
    names = "l.index, e.action, e.at, e.links, e.producer, e.sequence, e.trace, e.uuid"
    for leaves in stream.chunks(first, last):
        yield b"".join(
            _line(
                {
                    "index": index,
                    "action": action,
                    "at": at and redaction.moment(at),
                    "links": links,
                    "producer": producer and str(producer),
                    "sequence": sequence,
                    "trace": trace,
                    "uuid": uuid and str(uuid),
                }
            )
            for index, action, at, links, producer, sequence, trace, uuid in stream.columns(leaves, names)
        )


def _line(content: dict[str, object]) -> bytes:
    return json.dumps(content, ensure_ascii=False, separators=(",", ":")).encode() + b"\n"


def openings(first: int = 0, last: int | None = None) -> Iterator[bytes]:
    """Yield what is still readable of the personal values, each with the salt that checks it against its commitment.

    The caller has checked that the reader may see personal data.
    """
    for leaves in stream.chunks(first, last):
        for sealed in stream.events(leaves):
            for opening in personal_data.openings(sealed.event) if sealed.event.personal else ():
                line: dict[str, object] = {
                    "index": sealed.index,
                    "salt": opening.salt,
                    "subject": opening.subject,
                    "values": opening.values,
                }
                yield _line(line)


def index_at(moment: datetime) -> int:
    """Return the index of the first leaf whose event is not older than `moment`; the end where there is none."""
    index = Leaf.objects.filter(at__gte=moment).order_by("index").values_list("index", flat=True).first()
    return stream.end() if index is None else index
