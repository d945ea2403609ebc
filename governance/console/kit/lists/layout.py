"""What a list of the console declares once: its columns, facets, built-in views and acts on several rows."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from django.core.exceptions import ObjectDoesNotExist
from django.db.models import Model, Q, QuerySet
from django.http import HttpRequest
from django.utils.translation import gettext_lazy

from entitlements.access.caller import Caller
from entitlements.errors import Malformed
from governance.console.kit.lists.keyset import Each


class ListMalformed(Malformed):
    """The list has no such column, order, view or export. Leave it out of the address."""

    code = "list_malformed"


@dataclass(frozen=True, slots=True)
class Stored:
    """What a file reads for a column whose `value` is a function of the row: an expression, made when it is asked for.

    `write` makes of it what the function would return.
    """

    read: Callable[[], Any]
    write: Callable[[Any], Any]


@dataclass(frozen=True, slots=True)
class Column[R]:
    """A column: its name in the address and in files, its heading, and the value of a row.

    `value` is a path of fields (`sponsor__name`), or a function of the row where no path leads there; with `stored` a
    file reads the same without making rows, as it does paths: that is many times as fast. `sorts` is the field or
    annotation that it is sorted by. `cell` draws it: a function of the row (see `cells`), or a template that gets
    `row`. `main` names the row; one that is not `usual` is chosen. Its head sorts a number, and what is
    `greatest_first`, first from the greatest down.
    """

    name: str
    label: Any
    value: str | Callable[[R], Any]
    sorts: str = ""
    cell: str | Callable[[R], object] = ""
    number: bool = False
    usual: bool = True
    main: bool = False
    greatest_first: bool = False
    stored: Stored | None = None


@dataclass(frozen=True, slots=True)
class Choice:
    """A value of a facet, and the condition on the rows that have it where that is more than an equal field."""

    value: str
    label: Any
    where: Q | None = None


TICKETS: Final = (
    Choice("any", gettext_lazy("With a ticket"), ~Q(ticket="")),
    Choice("none", gettext_lazy("Without a ticket"), Q(ticket="")),
)
"""The values of a facet of rows that have a `ticket`."""

type Choices = Sequence[Choice | tuple[str, Any]]


@dataclass(frozen=True, slots=True)
class Facet[M: Model]:
    """A filter with a name: of some `choices`, which are counted, or of a `reference`, which is looked up.

    A row has a value where its `field` equals it, where the choice's own condition holds, or as `narrow` decides, which
    gets the rows and the value; `narrow` is not counted. `many` values may be chosen together: a row has one of them.
    `choices` may be a function of the request. `reference` is `agent`, `group`, `person` or `system`. What is not
    `offered` has no menu: links lead to it, and its chip is shown. `kind` is that of its field: `text` or `date`.

    What no index finds is `sought`: rows are read for it, in windows of the list. `finds` is what an index finds of it,
    if anything: the rows that are read. Its values, and those of which the planner has no statistics (not `guessed`),
    are counted where all rows are, and have no number otherwise.
    """

    name: str
    label: Any
    field: str = ""
    choices: Choices | Callable[[HttpRequest], Choices] = ()
    reference: str = ""
    narrow: Callable[[QuerySet[M], str], QuerySet[M]] | None = None
    many: bool = False
    count: bool = True
    offered: bool = True
    kind: str = "text"
    sought: bool = False
    finds: Callable[[QuerySet[M], str], QuerySet[M]] | None = None
    guessed: bool = True


@dataclass(frozen=True, slots=True)
class View:
    """A view that everybody has: a name for a query of the address, such as `state=live&sort=-life`."""

    name: str
    label: Any
    query: str


@dataclass(frozen=True, slots=True)
class Bulk[M: Model]:
    """An act on several rows: the label of its button, and the page that it leads to.

    `address` is the path of a page that gets `key` of each ticked row by POST, or what `selection.of` reads.
    `allowed` returns the keys of the rows of a page that the person may do it to. `act` goes along as a field.
    """

    label: Any
    address: Callable[[], str]
    allowed: Callable[[Caller, Sequence[M]], Collection[Any]]
    act: str = ""
    is_danger: bool = False


@dataclass(frozen=True, slots=True)
class Layout[M: Model, R]:
    """A list of rows `M`, each shown as `R`.

    `order` is a column that sorts, with a minus for descending; `unique` is the field that ends each order, not null.
    `search` are the fields in which a text is found, or a function of rows and text. `describe` makes what is shown of
    the rows of a page or a part of a file; without it rows are shown as they are. `key` names a row in a bulk act.
    `empty` is said where there is nothing at all: words, or a template.

    For a log of millions: `between` are fields of the order before `unique`; a text is `sought` as a facet may be, in
    `window` rows at a time; `each` says which values of one field all rows have, where its index finds each of them.
    A file has all columns where none are named if it is `complete`; `exported` hears of each, with what was asked
    for, before it begins. `kept` are parameters of the page itself.
    """

    name: str
    label: Any
    columns: Sequence[Column[R]]
    order: str
    unique: str = "pk"
    facets: Sequence[Facet[M]] = ()
    search: Sequence[str] | Callable[[QuerySet[M], str], QuerySet[M]] = ()
    search_label: Any = ""
    views: Sequence[View] = ()
    describe: Callable[[HttpRequest, Sequence[M]], Sequence[R]] | None = None
    bulk: Sequence[Bulk[M]] = ()
    key: str = "pk"
    size: int = 50
    empty: Any = ""
    between: tuple[str, ...] = ()
    sought: bool = False
    window: int = 0
    each: Callable[[Mapping[str, Sequence[str]]], Each | None] | None = None
    complete: bool = False
    exported: Callable[[HttpRequest, Any], None] | None = None
    kept: Sequence[str] = ()

    def column(self, name: str) -> Column[R]:
        """Return a column. Raises ListMalformed."""
        for column in self.columns:
            if column.name == name:
                return column
        raise ListMalformed


def value_of(row: object, value: str | Callable[[Any], Any]) -> Any:  # noqa: ANN401 - of any type
    """Return the value of a column: what a path leads to, None where it ends before, or what the function returns."""
    if callable(value):
        return value(row)
    for step in value.split("__"):
        if row is None:
            return None
        try:
            row = row[step] if isinstance(row, Mapping) else getattr(row, step)
        except ObjectDoesNotExist:  # nothing names this row where a path leads there
            return None
    return row
