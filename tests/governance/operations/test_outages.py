"""What is away for a while is recorded once, and once more when it is back: an anchor, a connector, the backup."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta

import pytest
from django.core.management import CommandError, call_command

from audit.context import SYSTEM
from audit.models import Event
from entitlements.connectors import connectors
from entitlements.connectors.models import Connector
from governance import tasks
from governance.operations import outages
from governance.setup import setup
from governance.setup.models import SetupCheck
from tests import make
from tests.entitlements.connectors import test_connectors as enrolment
from tests.governance import setups

type Move = Callable[[datetime | timedelta], datetime]

pytestmark = pytest.mark.django_db


def recorded(subject: str) -> list[str]:
    return list(Event.objects.filter(action__startswith=f"{subject}.").order_by("at").values_list("action", flat=True))


def look() -> None:
    for _ in range(2):
        tasks.look_for_outages()


@pytest.mark.django_db(transaction=True)
def test_an_anchor_is_recorded_once_when_it_is_away_and_again_after_it_came_back() -> None:
    seen = setups.note(setups.checkpoint())
    setups.anchored(seen)
    look()
    assert recorded("anchor") == []
    for _ in range(2):
        setups.anchored("", problem="No such device")
        look()
        setups.anchored(seen)
        look()
    assert recorded("anchor") == ["anchor.unreachable", "anchor.reachable"] * 2
    event = Event.objects.filter(action="anchor.unreachable").earliest("at")
    assert event.about == ["anchor:file"]
    assert "No such device" in event.detail.text("problem")


def connector() -> Connector:
    made = connectors.add(make.system(), name="hall 3", by=make.analyst(), reason="It is behind a firewall.")
    return connectors.enrol(code=made.code, public_key=enrolment.key())


def test_a_connector_is_recorded_once_when_it_is_away_and_again_after_it_came_back(at: Move) -> None:
    row = connector()
    look()
    for _ in range(2):
        at(outages.CONNECTOR_AWAY)
        look()
        Connector.objects.filter(pk=row.pk).update(seen_at=at(timedelta(seconds=1)))
        look()
    assert recorded("connector") == [
        "connector.added",
        "connector.enrolled",
        *["connector.unreachable", "connector.reachable"] * 2,
    ]
    event = Event.objects.filter(action="connector.unreachable").earliest("at")
    assert event.about == [f"connector:{row.pk}", f"system:{row.system.slug}"]


def test_a_connector_that_is_revoked_or_waits_is_not_away(at: Move) -> None:
    connectors.revoke(connector().pk, by=SYSTEM, reason="replaced")
    connectors.add(Connector.objects.get().system, name="hall 4", by=make.analyst("ann"), reason="Another one.")
    at(2 * outages.CONNECTOR_AWAY)
    look()
    assert "connector.unreachable" not in recorded("connector")


def test_a_backup_that_no_program_reports_is_recorded_once_and_again_after_the_next(at: Move) -> None:
    for where in ("first", "second"):
        call_command("report_backup", kept_at=where)
        look()
        at(setup.REPORT_IS_OLD)
        look()
        at(timedelta(hours=1))
    assert recorded("backup") == ["backup.made", "backup.overdue"] * 2


def test_an_attested_backup_lasts_a_quarter(at: Move) -> None:
    now = at(timedelta(0))
    setup.attest_backup(now, by=setups.admin("ada"), where="a disk")
    at(setup.REPORT_IS_OLD)
    look()
    assert recorded("backup") == []
    at(setup.BACKUP_IS_OLD - setup.REPORT_IS_OLD)
    look()
    assert recorded("backup") == ["backup.overdue"]


@pytest.mark.django_db(transaction=True)
def test_an_installation_without_any_backup_is_recorded_in_time(at: Move) -> None:
    setups.checkpoint()
    look()
    assert recorded("backup") == []
    at(setup.REPORT_IS_OLD)
    look()
    assert recorded("backup") == ["backup.overdue"]


def test_a_failed_backup_leaves_the_last_good_one_on_the_page() -> None:
    call_command("report_backup", kept_at="nas")
    call_command("report_backup", failed="disk full")
    assert recorded("backup") == ["backup.made", "backup.failed"]
    assert Event.objects.get(action="backup.failed").detail.text("problem") == "disk full"
    assert "nas" in setup.backup().sentence
    assert SetupCheck.objects.get().passed


@pytest.mark.parametrize("said", [{}, {"kept_at": " "}, {"failed": ""}, {"kept_at": "nas", "failed": "disk full"}])
def test_a_report_says_either_where_it_is_kept_or_what_failed(said: dict[str, str]) -> None:
    with pytest.raises(CommandError):
        call_command("report_backup", **said)
    assert recorded("backup") == []
