"""One declaration for what a person or a program does: the API mounts it as a POST, the console as a button.

An `Action` says which function does it, to what, who may, which fields it takes and what is said when it is done. The
doors add only what differs: the API its answer, the console where to go afterwards. A room lists its actions in its
`actions.py`.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import KW_ONLY, dataclass
from typing import TYPE_CHECKING, Any

from audit import context
from entitlements.access.caller import Caller
from entitlements.errors import Forbidden
from entitlements.revocation import tickets

from .fields import InputSerializer, ReasonInputSerializer

if TYPE_CHECKING:
    from django.db.models import QuerySet
    from django.utils.functional import Promise

    from audit.context import Principal
    from entitlements.people.models import Person


type Sentence = str | Promise
"""A text, or its translation later."""


def principal(caller: Caller) -> Principal:
    """Return whom the audit log names as the actor."""
    return caller.principal


def person(caller: Caller) -> Person:
    """Return the person who acts at first hand. Raises Forbidden for a script or an agent."""
    if caller.human is None:
        raise Forbidden
    return caller.human


def caller(caller: Caller) -> Caller:
    """Return the caller as a whole."""
    return caller


def no_link(_row: object) -> list[str]:
    """Return no links: nothing is there yet that the audit log could name."""
    return []


def itself(row: Any) -> object:  # noqa: ANN401 - a row
    """Return the row."""
    return row


def no_risk(_row: object) -> bool:
    """Return that nothing of it is of high risk."""
    return False


@dataclass(frozen=True, slots=True)
class Subject:
    """What actions are done to: the rows that a caller sees, how an address names one, and how the audit log does."""

    rows: Callable[[Caller], QuerySet[Any]]
    about: Callable[[Any], list[str]] = no_link
    lookup: tuple[str, ...] = ("pk",)
    permitted_on: Callable[[Any], object] = itself
    """The thing on which the caller's relation counts: of a request, its agent."""
    by: Callable[[Caller], Any] = principal
    """Who does it, as its actions take them: a principal, or the person at first hand."""
    by_key: bool = False
    """Whether its actions take the primary key, and read the row themselves under their locks."""

    def key(self, *parts: object) -> dict[str, object]:
        """Return the lookup for the parts of an address."""
        return dict(zip(self.lookup, parts, strict=True))


NEW = Subject(rows=lambda _caller: _no_rows())
"""The subject of actions that make something new."""


def _no_rows() -> QuerySet[Any]:
    raise LookupError("What is made does not exist yet.")


@dataclass(frozen=True, slots=True)
class Action:
    """One thing that is done: `run(row, by=..., **input)`. Without a row where it makes something new."""

    address: str
    """Its name in the API's matrix: that row says who may, and when re-authentication is asked for."""
    subject: Subject
    run: Callable[..., Any]
    _: KW_ONLY
    input: type[InputSerializer] | None = ReasonInputSerializer
    """The fields that it takes beside `by`; None where it takes none, or where each door reads its own."""
    by: Callable[[Caller], Any] | None = None
    by_key: bool | None = None
    """Both as for the subject, where they are not said."""
    weighs: Callable[[Any], bool] = no_risk
    """Whether it is of high risk for this row, where the matrix asks for re-authentication only then."""
    done: Sentence | Callable[[Performed], Sentence] = ""
    """What the console says afterwards; `%(name)s` in it is the row's `name`."""
    method: str = "POST"
    reason_in_form: bool = True
    """Whether the console demands the reason as well: not of a button without a form."""
    stops: str = ""
    """The kind of target that it suspends or revokes: then it takes a ticket, as the settings of tickets say."""

    def perform(self, row: Any, caller: Caller, values: dict[str, Any]) -> Performed:  # noqa: ANN401 - a row or None
        """Do it. Raises what `run` and `tickets.check` raise, and Forbidden where only a person may."""
        by_key = self.subject.by_key if self.by_key is None else self.by_key
        subjects = () if self.subject is NEW else (row.pk if by_key else row,)
        given = dict(values)
        with context.acting(ticket=self._ticket(row, caller, given)):
            return Performed(self, row, values, self.run(*subjects, by=self.actor(caller), **given))

    def _ticket(self, row: Any, caller: Caller, values: dict[str, Any]) -> str | None:  # noqa: ANN401 - as above
        """Take the ticket out of the values, and return what the events keep of it. Raises as `tickets.check`."""
        if not self.stops:
            return None
        return tickets.check(self.stops, tickets.given(self.stops, row, caller.human, values.pop("ticket", "")))

    def actor(self, caller: Caller) -> Any:  # noqa: ANN401 - as the action takes them
        """Return who does it. Raises Forbidden, or as `by` says, for a caller who may not do it at all."""
        return (self.by or self.subject.by)(caller)


@dataclass(frozen=True, slots=True)
class Performed:
    """An action that was done: to which row, with which values, and its result."""

    action: Action
    row: Any
    values: dict[str, Any]
    result: Any

    @property
    def sentence(self) -> str:
        """What a person is told."""
        done = self.action.done
        return str(done(self)) if callable(done) else str(done) % _Attributes(self.row)


class _Attributes:
    """The attributes of a row, as the names in a sentence."""

    def __init__(self, row: object) -> None:
        self._row = row

    def __getitem__(self, name: str) -> object:
        return getattr(self._row, name)
