"""The page of a restored backup: what came back, what is unknown, and what stays closed until two people open it."""

from __future__ import annotations

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from audit.actions import Action
from audit.context import SYSTEM
from audit.seals.stops import Outside
from entitlements.catalog import systems
from entitlements.people.models import Person
from governance.operations import after_restore
from tests import make
from tests.governance.console import visits

pytestmark = pytest.mark.django_db
URL = "/audit/restored/"


def shown(reader: Person) -> str:
    return visits.text(visits.as_(reader).get(URL))  # a restore ends each sign-in


def restore(monkeypatch: pytest.MonkeyPatch, *lines: tuple[Action, str], is_whole: bool) -> None:
    kept = tuple({"action": action, "at": "2026-12-02T08:00:00Z", "links": [link]} for action, link in lines)
    monkeypatch.setattr(after_restore, "_outside", lambda _notes: Outside(kept, is_whole, "2026-12-02T09:00:00Z"))
    after_restore.after_restore(by=SYSTEM, reason="the disk died")


def test_one_page_shows_what_came_back_and_opens_at_once_where_nothing_is_unknown(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    reader, agent, _ = make.person(roles=["auditor"]), make.agent(), make.system()
    assert "No backup was restored." in shown(reader)

    restore(monkeypatch, (Action.AGENT_SUSPENDED, f"agent:{agent.slug}"), is_whole=True)

    page = shown(reader)
    for said in ("the disk died", "tells of every stop since the backup", "Nothing is unknown", "No system is closed"):
        assert said in page
    assert f'href="/agents/{agent.slug}/"' in page, "it was stopped again"


def test_the_page_shows_what_is_unknown_and_who_of_two_people_opened_a_system(monkeypatch: pytest.MonkeyPatch) -> None:
    first, second, reader = make.analyst(), make.analyst(), make.person(roles=["auditor"])
    named, other = make.system(), make.system()
    restore(monkeypatch, (Action.SECRET_WITHHELD, f"system:{named.slug}"), is_whole=True)

    page = shown(reader)
    assert "withheld" in page
    assert "Two people have to restore it" in page
    assert f'href="/systems/{other.slug}/"' not in page, "nothing is unknown of it"

    systems.enable_system(named, by=first.principal, reason="checked")
    page = shown(reader)
    assert f"{first.name} restored it first" in page
    assert "Two people have to restore it" not in page

    systems.enable_system(named, by=second.principal, reason="checked too")
    assert "No system is closed" in shown(reader)
    systems.disable_system(named, by=second.principal, reason="another matter")
    assert "No system is closed" in shown(reader), "a person closed it, and no restore"


def test_a_copy_that_may_lack_stops_is_never_shown_as_whole(monkeypatch: pytest.MonkeyPatch) -> None:
    reader = make.person(roles=["auditor"])
    restore(monkeypatch, is_whole=False)
    page = shown(reader)
    assert "may lack stops" in page
    assert "Nothing is unknown" not in page


def test_the_page_asks_the_database_no_more_where_a_restore_closed_more_systems(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    reader, asked = make.person(roles=["auditor"]), []
    for count in (2, 20):
        for _ in range(count):
            make.system()
        restore(monkeypatch, is_whole=False)
        shown(reader)
        with CaptureQueriesContext(connection) as queries:
            shown(reader)
        asked.append(len(queries))
    assert asked[0] == asked[1]
