"""Actions on saved views: a person keeps the query of a list under a name, and deletes it."""

from __future__ import annotations

import re
from http import HTTPStatus
from typing import Final
from uuid import UUID

from django.db import IntegrityError, transaction
from django.db.models import QuerySet
from django.http import QueryDict

from audit import clock, log
from audit.actions import Action
from entitlements.errors import DomainError, NotFound
from entitlements.people.models import Person
from governance.saved_views.models import SavedView

MOST: Final = 50
"""Views that one person keeps of one list."""
LONGEST_NAME: Final = 60
LONGEST_QUERY: Final = 2000
_LEFT_OUT: Final = ("view", "cursor", "export")
"""Parameters that name a view, a place or a file: none of them belongs to a view."""
_LIST: Final = re.compile(r"[a-z][a-z0-9-]{0,63}")


class SavedViewMalformed(DomainError):
    """A saved view needs a name of at most 60 characters and a query of at most 2,000. Shorten it."""

    code, status = "saved_view_malformed", HTTPStatus.UNPROCESSABLE_ENTITY


class SavedViewNameTaken(DomainError):
    """You already have a view of this list with this name. Choose another name, or delete that view."""

    code, status = "saved_view_name_taken", HTTPStatus.CONFLICT


class TooManySavedViews(DomainError):
    """You already have 50 views of this list. Delete one that you no longer use."""

    code, status = "saved_views_too_many", HTTPStatus.CONFLICT


@transaction.atomic
def create(*, list_name: str, name: str, query: str, by: Person) -> SavedView:
    """Keep a query of a list under a name. What names a view, a page or a file is left out of the query.

    Raises SavedViewMalformed, SavedViewNameTaken, TooManySavedViews.
    """
    name, query = " ".join(name.split()), cleaned(query)
    fits = 0 < len(name) <= LONGEST_NAME and len(query) <= LONGEST_QUERY and _LIST.fullmatch(list_name)
    if not fits:
        raise SavedViewMalformed
    Person.objects.select_for_update().get(pk=by.pk)  # two at once would pass the limit together
    mine = SavedView.objects.filter(owner=by, list=list_name)
    if mine.count() >= MOST:
        raise TooManySavedViews
    try:
        with transaction.atomic():
            view = SavedView.objects.create(owner=by, list=list_name, name=name, query=query, made_at=clock.now())
    except IntegrityError as error:
        raise SavedViewNameTaken from error
    _record(Action.SAVED_VIEW_CREATED, view, by)
    return view


@transaction.atomic
def delete(view_id: UUID, *, by: Person) -> SavedView:
    """Delete one's own view. Raises NotFound for anybody else's."""
    view = SavedView.objects.select_for_update().filter(pk=view_id, owner=by).first()
    if view is None:
        raise NotFound
    _record(Action.SAVED_VIEW_DELETED, view, by)
    SavedView.objects.filter(pk=view.pk).delete()
    return view


def cleaned(query: str) -> str:
    """Return the part of a query that a view keeps."""
    kept = QueryDict(query[: 2 * LONGEST_QUERY], mutable=True)
    for name in _LEFT_OUT:
        kept.pop(name, None)
    return kept.urlencode(safe=",")


def _record(action: Action, view: SavedView, by: Person) -> None:
    detail = {"list": view.list, "name": view.name}
    log.record(action, about=about(view), by=by.principal, detail=detail)


def about(view: SavedView) -> list[str]:
    """Return the audit log's links of a view."""
    return [f"saved_view:{view.pk}"]


def of(person: Person) -> QuerySet[SavedView]:
    """Return the views of a person."""
    return SavedView.objects.select_related("owner").filter(owner=person)


def of_list(person: Person, list_name: str) -> list[SavedView]:
    """Return a person's views of a list, by name."""
    return sorted(of(person).filter(list=list_name), key=lambda view: view.name.casefold())
