"""Pure but for the clock: events that a node writes by the thousand, from canonical parts that do not change.

An event made here has the bytes that `draft` would give it. What the events of one caller about the same things share
is checked, redacted and written as canonical JSON once; an event of theirs is put together as text.
"""

import hashlib
import os
import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Final
from uuid import UUID

import msgspec

from audit import chain, clock, redaction
from audit.actions import Action
from audit.draft import LAST, MAX_BODY, BadEvent, link

MOST_KEPT: Final = 4096
_HARMLESS: Final = re.compile(r"[0-9a-f-]{0,100}")
"""Digests, traces, UUIDs: with these characters nobody writes a secret that `redaction.text` knows, nor an escape."""
_VARIANT: Final = dict(zip("0123456789abcdef", "89ab" * 4, strict=True))
_LONGEST_CHARACTER: Final = 4
"""Bytes of one character in UTF-8 at most."""
_encode: Final = msgspec.json.Encoder().encode


type What = tuple[Action, str, str]
"""What happened: the action, one of draft's outcomes, and a code."""


@dataclass(frozen=True, slots=True)
class Shared:
    """What the events of one caller about the same things share: canonical JSON, and the links of the row."""

    actor: str
    on_behalf_of: str
    session: str
    about: str
    links: list[str]


@dataclass(slots=True)
class TextDraft:
    """An event whose canonical text is there, but for its producer and number. As `draft.Draft` for a writer."""

    moment: str
    uuid: str
    action: str
    links: list[str]
    trace: str
    parts: tuple[str, str, str]

    def body(self, producer: UUID | str, sequence: int) -> str:
        """Return the canonical JSON text: the bytes that the leaf hashes."""
        first, middle, last = self.parts
        return f"{first}{producer}{middle}{sequence}{last}"

    def check_size(self) -> None:
        """Raise BadEvent when the body would be over the limit whichever number the event gets."""
        if sum(map(len, self.parts)) * _LONGEST_CHARACTER > MAX_BODY // 2:
            size = len(self.body(*LAST).encode())
            if size > MAX_BODY:
                message = f"the event is {size} bytes, more than {MAX_BODY}"
                raise BadEvent(message)


def shared(actor: str, person: str | None, session: str, about: tuple[str, ...]) -> Shared:
    """Check and redact what events share. `actor` is "kind:name", `person` for whom it acts. Raises BadEvent."""
    links = sorted({link(each) for each in about})
    acts, on_behalf_of = redaction.text(actor), None if person is None else redaction.text(f"person:{person}")
    found_by = {acts, *links}
    if on_behalf_of is not None:
        found_by.add(on_behalf_of)
    if session:
        found_by.add(redaction.text(f"session:{session}"))
    return Shared(
        json(acts), json(on_behalf_of), json(redaction.text(session)), json(links), sorted(found_by)
    )  # fmt: skip


def event(common: Shared, what: What, detail: str, *, uuid: str, trace: str, request_id: str, source: str) -> TextDraft:
    """Return an event of this moment; `detail` is canonical JSON, as `canonical` gives it. Raises ClockUnknown."""
    action, outcome, code = what
    moment = redaction.moment(clock.now())
    trace = trace if _HARMLESS.fullmatch(trace) else redaction.text(trace)
    first = (
        f'{{"action":"{action}","actor":{common.actor},"at":"{moment}","code":{_known(code)},"detail":{detail}'
        f',"links":{common.about},"on_behalf_of":{common.on_behalf_of},"outcome":"{outcome}","personal":{{}},"producer":"'
    )
    middle = f'","reason":"","request_id":{_text(request_id)},"sequence":'
    last = f',"session":{common.session},"source":{_known(source)},"trace":{json(trace)},"uuid":"{uuid}","v":1}}'
    return TextDraft(moment, uuid, action.value, common.links, trace, (first, middle, last))


def canonical(detail: Mapping[str, object]) -> str:
    """Redact a detail and write it as canonical JSON. Raises redaction.Unrepresentable."""
    return chain.canonical(redaction.clean(detail)).decode()


def json(value: str | list[str] | None) -> str:
    """Write redacted text, or a list of it, as canonical JSON."""
    return _encode(value).decode()


def new_uuid() -> str:
    """Return a random UUID as text (RFC 9562 section 5.4), at half of what `uuid4` and its text cost."""
    return _uuid(os.urandom(16).hex(), "4")


def following_uuid(namespace: str, name: bytes) -> str:
    """Return the UUID that follows from another and a name, as text (RFC 9562 section 5.5): that of `uuid5`."""
    digest = hashlib.sha1(bytes.fromhex(namespace.replace("-", "")) + name, usedforsecurity=False)
    return _uuid(digest.hexdigest(), "5")


def _uuid(digits: str, version: str) -> str:
    variant = _VARIANT[digits[16]]
    return f"{digits[:8]}-{digits[8:12]}-{version}{digits[13:16]}-{variant}{digits[17:20]}-{digits[20:32]}"


def _text(value: str) -> str:
    return json(redaction.text(value)) if value else '""'


_known: Final = lru_cache(maxsize=MOST_KEPT)(_text)
"""For what comes again: codes and addresses."""
