"""Pure: what one event says, before it has a place in its producer's life, and the canonical bytes that it becomes."""

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
_LAST: Final = (UUID(int=0), 2**53 - 1)
"""A producer and sequence whose text is as long as any can be."""
_encode: Final = msgspec.json.Encoder().encode
_LINK = re.compile(r"[a-z][a-z_]*:[^\x00-\x20\x7f]{1,500}")
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
        number = _LAST[1]
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
            self.body(*_LAST)


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
    """Check and redact what an event is to say; time, trace, request, source and session come from context.

    `uuid` is given where the event must be the only one of its kind, and is new otherwise.

    Raises BadEvent for a malformed link or outcome, redaction.Unrepresentable for a number JSON cannot carry.
    """
    acting = context.current()
    links = {_link(link) for link in about}
    if outcome not in _OUTCOMES:
        message = f"{outcome!r} is no outcome"
        raise BadEvent(message)
    at, uuid, trace = clock.now(), uuid or uuid4(), redaction.text(acting.trace)
    on_behalf_of = acting.on_behalf_of
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
            "on_behalf_of": None if on_behalf_of is None else redaction.text(str(on_behalf_of)),
            "reason": redaction.text(reason),
            "trace": trace,
            "request_id": redaction.text(acting.request_id),
            "source": redaction.text(acting.source),
            "session": redaction.text(acting.session),
            "links": [*sorted(links)],
            "detail": redaction.clean(detail or {}),
        },
    )


def _all_links(links: set[str], by: context.Principal, acting: context.Context) -> list[str]:
    """What finds the event: what it is about, who acted, for whom, in which session. Not the product itself."""
    who = {
        redaction.text(str(principal))
        for principal in (by, acting.on_behalf_of)
        if principal is not None and principal != context.SYSTEM
    }
    return sorted(links | who | ({redaction.text(f"session:{acting.session}")} if acting.session else set()))


@lru_cache(maxsize=4096)
def _link(link: str) -> str:
    cleaned = redaction.text(link)
    if not _LINK.fullmatch(link) or not _LINK.fullmatch(cleaned):  # what holds NUL is the name of nothing
        message = f"{cleaned!r} is no link: write kind:id"
        raise BadEvent(message)
    return cleaned
