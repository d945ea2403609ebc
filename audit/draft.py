"""Pure but for the clock: what one event says, before it has a place in its producer's life, and its canonical bytes.

`draft` makes any event. Of calls through the gateway a node writes thousands a second: `event` puts them together as
text, with the same bytes, from what the events of one caller about the same things share.
"""

import hashlib
import os
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from functools import lru_cache
from typing import Final
from uuid import UUID, uuid4

import msgspec

from audit import chain, clock, context, redaction
from audit.actions import Action

SCHEMA: Final = 1
MAX_BODY: Final = 64 * 1024
_NUMBER: Final = "sequence"
_NAMED: Final = f'"{_NUMBER}":'
LAST: Final = (UUID(int=0), 2**53 - 1)
"""A producer and sequence whose text is as long as any can be."""
MOST_KEPT: Final = 4096
_HARMLESS: Final = re.compile(r"[0-9a-f-]{0,100}")
"""Digests, traces, UUIDs: no secret that `redaction.text` knows is written in these characters, nor an escape."""
_VARIANT: Final = dict(zip("0123456789abcdef", "89ab" * 4, strict=True))
_LONGEST_CHARACTER: Final = 4
"""Bytes of one character in UTF-8 at most."""
_encode: Final = msgspec.json.Encoder().encode
_LINK = re.compile(r"[a-z][a-z_]*:[^\x00-\x20\x7f]{1,1000}")
_OUTCOMES: Final = frozenset({"success", "failure", "refused", "unknown"})


class BadEvent(ValueError):
    """The event is malformed: a link that is not kind:id, an outcome that does not exist, or a body over the limit."""

    code = "event_malformed"


@dataclass(frozen=True, slots=True)
class Draft:
    """An event that is checked and redacted, but not yet numbered. Make one with `draft`."""

    at: datetime
    uuid: UUID
    action: str
    links: list[str]
    trace: str
    fields: dict[str, redaction.Json]
    span: str | None = ""
    """The span below which its own hangs: empty for the root of its trace, None where it is to have none."""

    @property
    def moment(self) -> str:
        """The time as the record writes it."""
        return redaction.moment(self.at)

    def body(self, producer: UUID, sequence: int, commitments: Mapping[str, str] | None = None) -> str:
        """Return the canonical JSON text: the bytes that the leaf hashes. Raises BadEvent beyond MAX_BODY bytes."""
        encoded = chain.canonical(
            {
                **self.fields,
                "personal": dict(commitments or {}),
                "producer": str(producer),
                "sequence": sequence,
            }
        )
        if len(encoded) > MAX_BODY:
            message = f"the event is {len(encoded)} bytes, more than {MAX_BODY}"
            raise BadEvent(message)
        return encoded.decode()

    def halves(self, producer: UUID, at: datetime) -> tuple[str, str]:
        """Return the canonical text before and after the number, for where the database gives it.

        It is that of the event as of `at`, the moment of the decision that it tells of: for each number n the first
        half, n and the second half are the `body` then. Raises BadEvent beyond MAX_BODY bytes, counted with the longest
        number.
        """
        number = LAST[1]
        fields = {"at": redaction.moment(at), "personal": {}, "producer": str(producer), _NUMBER: number}
        encoded = chain.canonical(self.fields | fields)
        if len(encoded) > MAX_BODY:
            message = f"the event is {len(encoded)} bytes, more than {MAX_BODY}"
            raise BadEvent(message)
        # Only texts stand behind the number, and no text holds a quote that is not escaped.
        first, named, second = encoded.decode().rpartition(_NAMED)
        return first + named, second.removeprefix(str(number))

    def check_size(self) -> None:
        """Raise BadEvent when the body would be over the limit whichever number the event gets.

        Canonical text costs an event loop dearly, so only what a quick encoder finds large is written out for it.
        """
        if len(_encode(self.fields)) > MAX_BODY // 2:
            self.body(*LAST)


def draft(
    action: Action,
    *,
    by: context.Principal,
    about: Iterable[str] = (),
    outcome: str = "success",
    code: str = "",
    reason: str = "",
    detail: Mapping[str, object] | None = None,
    uuid: UUID | None = None,
) -> Draft:
    """Check and redact what an event is to say; time, trace, request, source, session and ticket come from context.

    `uuid` is given where the event must be the only one of its kind, and is new otherwise.

    Raises BadEvent for a malformed link or outcome, redaction.Unrepresentable for a number JSON cannot carry.
    """
    acting = context.current()
    links = {link(each) for each in (*about, *([f"ticket:{acting.ticket}"] if acting.ticket else []))}
    if acting.ticket is not None:
        detail = {**(detail or {}), "ticket": acting.ticket}
    if outcome not in _OUTCOMES:
        message = f"{outcome!r} is no outcome"
        raise BadEvent(message)
    at, uuid, trace = clock.now(), uuid or uuid4(), redaction.text(acting.trace)
    return Draft(
        at=at,
        uuid=uuid,
        action=str(Action(action)),
        links=_all_links(links, by, acting),
        trace=trace,
        fields={
            "v": SCHEMA,
            "uuid": str(uuid),
            "at": redaction.moment(at),
            "action": str(action),
            "outcome": outcome,
            "code": redaction.text(code),
            "actor": redaction.text(str(by)),
            "on_behalf_of": None if acting.on_behalf_of is None else redaction.text(str(acting.on_behalf_of)),
            "reason": redaction.text(reason),
            "trace": trace,
            "request_id": redaction.text(acting.request_id),
            "source": redaction.text(acting.source),
            "session": redaction.text(acting.session),
            "links": [*sorted(links)],
            "detail": redaction.clean(detail or {}),
        },
        span=acting.span if acting.is_sampled else None,
    )


def _all_links(links: set[str], by: context.Principal, acting: context.Context) -> list[str]:
    """What finds the event: what it is about, who acted, for whom, in which session. Not the product itself."""
    who = {
        redaction.text(str(principal))
        for principal in (by, acting.on_behalf_of)
        if principal is not None and principal != context.SYSTEM
    }
    sessions = {f"session:{acting.session}"} if acting.session else set[str]()
    if acting.session_trace not in ("", acting.trace):
        sessions.add(f"trace:{acting.session_trace}")
    return sorted(links | who | {redaction.text(each) for each in sessions})


@lru_cache(maxsize=4096)
def link(named: str) -> str:
    """Check and redact a link. Raises BadEvent."""
    cleaned = redaction.text(named)
    if not _LINK.fullmatch(named) or not _LINK.fullmatch(cleaned):  # what holds NUL is the name of nothing
        message = f"{cleaned!r} is no link: write kind:id"
        raise BadEvent(message)
    return cleaned


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
    """An event whose canonical text is there, but for its producer and number. A writer takes it as a Draft."""

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
