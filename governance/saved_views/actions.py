"""What a person does with saved views: each action declared once, for API and console."""

from __future__ import annotations

from typing import Any

from django.db.models import QuerySet
from django.utils.translation import gettext_lazy as _

from entitlements.access.caller import Caller
from entitlements.api.actions import NEW, Action, Subject, person
from entitlements.api.fields import InputSerializer, Text
from entitlements.people.models import Person
from governance.saved_views import saved_views
from governance.saved_views.models import SavedView


class SavedViewInputSerializer(InputSerializer):
    """The list by its name, and the query of its address."""

    list = Text(max_length=64)
    name = Text(max_length=saved_views.LONGEST_NAME)
    query = Text(max_length=saved_views.LONGEST_QUERY, allow_blank=True)


def _visible(caller: Caller) -> QuerySet[SavedView]:
    return saved_views.of(caller.human) if caller.human is not None else SavedView.objects.none()


def _create(*, list: str, by: Person, **values: Any) -> SavedView:  # noqa: A002, ANN401 - the fields, as they are named
    return saved_views.create(list_name=list, by=by, **values)


SAVED_VIEW = Subject(_visible, saved_views.about, by=person, by_key=True)

CREATE = Action(
    "saved-views",
    NEW,
    _create,
    input=SavedViewInputSerializer,
    by=person,
    done=lambda performed: _("The view “%(name)s” is saved.") % {"name": performed.result.name},
)
DELETE = Action(
    "saved-view-delete",
    SAVED_VIEW,
    saved_views.delete,
    input=None,
    done=_("The view “%(name)s” is deleted."),
)
