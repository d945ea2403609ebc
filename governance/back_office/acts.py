"""What is done to rows in the back office: an action of console and API, its button, and what it asks of each row."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import KW_ONLY, dataclass
from typing import Any, Protocol

from django.http import HttpRequest, QueryDict

from entitlements.access.caller import Caller
from entitlements.api.actions import Action, Performed, Sentence
from governance.console import doors, matrix_rows


class Form(Protocol):
    """What an act asks of each row beside the reason. The names of its inputs begin with the row's prefix."""

    @property
    def template(self) -> str:
        """The template of its inputs, empty where it has none."""

    def fields(self, row: Any, prefix: str, data: QueryDict | None) -> dict[str, Any]:  # noqa: ANN401 - a row
        """Return what the template shows, as `data` had it where it was refused."""

    def read(self, row: Any, prefix: str, data: QueryDict) -> dict[str, Any] | None:  # noqa: ANN401 - as above
        """Return the values for the action; None where it reads its own. Raises Malformed, and as its fields do."""


class ReasonAlone:
    """An act that asks for a reason and nothing else."""

    template = ""

    def fields(self, row: Any, prefix: str, data: QueryDict | None) -> dict[str, Any]:  # noqa: ANN401, ARG002 - as above
        """Return nothing."""
        return {}

    def read(self, row: Any, prefix: str, data: QueryDict) -> dict[str, Any] | None:  # noqa: ANN401, ARG002 - as above
        """Return None: the fields of the action are read."""
        return None


def perform(request: HttpRequest, act: Act, row: Any, values: dict[str, Any] | None) -> Performed:  # noqa: ANN401 - as above
    """Do it as a page of the console does. Raises as `doors.perform`."""
    return doors.perform(request, act.action, row, values, say=False)


def allows(act: Act, caller: Caller, row: Any) -> bool:  # noqa: ANN401 - as above
    """Whether the matrix lets the caller do it to the row."""
    return doors.may(caller, act.action.address, act.action.subject.permitted_on(row), act.action.method)


@dataclass(frozen=True, slots=True)
class Act:
    """One thing that is done to rows: its button, what follows, and the rows that it can be done to."""

    name: str
    action: Action
    label: Sentence
    follows: Sentence
    """What it does, in a sentence above the button."""
    done: Sentence
    """The word for it once it is done."""
    opens: Callable[[Any], bool]
    """Whether a row is in a state for it."""
    _: KW_ONLY
    form: Form = ReasonAlone()  # noqa: RUF009 - it has no state
    needs_reason: bool = True
    is_last: bool = False
    """Whether it cannot be undone."""
    may: Callable[[Act, Caller, Any], bool] = allows
    run: Callable[[HttpRequest, Act, Any, dict[str, Any] | None], Performed] = perform

    def offers(self, caller: Caller, row: Any) -> bool:  # noqa: ANN401 - as above
        """Whether the caller may do it to the row, as it is now."""
        return self.opens(row) and self.may(self, caller, row)

    @property
    def roles(self) -> frozenset[str]:
        """The admin roles that may do it, whatever the row."""
        return matrix_rows.API[self.action.address, self.action.method].roles

    @property
    def relations(self) -> frozenset[str]:
        """The relations to a row that suffice."""
        return matrix_rows.API[self.action.address, self.action.method].related
