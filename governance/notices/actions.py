"""What people do with their notices and with mail: each action declared once, for API and console."""

from __future__ import annotations

from uuid import UUID

from django.db.models import QuerySet
from django.utils.translation import gettext_lazy as _

from entitlements.access.caller import Caller
from entitlements.api.actions import NEW, Action, Subject, person
from entitlements.api.fields import EmptyInputSerializer
from entitlements.people.models import Person
from governance.mail import outbox
from governance.notices import queue
from governance.notices.models import Delivery, Notice


def _own(caller: Caller) -> QuerySet[Notice]:
    return Notice.objects.filter(person=caller.human) if caller.human else Notice.objects.none()


def _read(notice_id: UUID, *, by: Person) -> int:
    return queue.mark_read(by, notice_id)


def _read_all(*, by: Person) -> int:
    return queue.mark_read(by)


NOTICE = Subject(_own, lambda notice: [notice.about], by=person, by_key=True)
DELIVERY = Subject(
    lambda _caller: Delivery.objects.select_related("person"),
    lambda delivery: [f"delivery:{delivery.pk}", f"person:{delivery.person.login}"],
    by_key=True,
)
RECIPIENT = Subject(lambda _caller: Person.objects.all(), lambda row: [f"person:{row.login}"], ("login",))

READ = Action("notice-read", NOTICE, _read, input=EmptyInputSerializer)
READ_ALL = Action("notices-read", NEW, _read_all, input=EmptyInputSerializer, by=person)
REPLAY = Action(
    "delivery-replay", DELIVERY, outbox.replay, reason_in_form=False, done=_("It is tried again within seconds.")
)
BOUNCED = Action("person-bounced", RECIPIENT, outbox.mark_bad)
