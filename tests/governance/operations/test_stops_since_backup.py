"""After a restore what was stopped is stopped again, and what is not known stays closed until two people open it."""

from __future__ import annotations

from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
from pytest_django.fixtures import Settings

from audit import chain, log
from audit.actions import Action
from audit.context import SYSTEM
from audit.models import Event
from audit.seals import anchors, seal_key
from audit.seals.stops import STOPS, Note, Outside
from entitlements.catalog import systems
from entitlements.catalog.models import System
from entitlements.conflicts.independence import SecondPersonNeeded
from entitlements.decisions import guardrails
from entitlements.grants.models import Grant
from entitlements.people import people
from governance.operations import after_restore, stops_since_backup
from tests import make

pytestmark = pytest.mark.django_db


def line(action: Action, *links: str, **more: object) -> dict[str, Any]:
    return {"action": action, "at": "2026-12-02T08:00:00Z", "links": list(links), **more}


def restored(*lines: dict[str, Any], is_whole: bool = True) -> stops_since_backup.Again:
    return stops_since_backup.apply(Outside(lines, is_whole))


def test_each_stop_is_made_by_the_action_of_the_product_with_its_event() -> None:
    system, agent, person = make.system(), make.agent(), make.person()
    member = make.person()
    (client, _), group, tool = make.client(make.agent()), make.group(member), make.tool(system)
    held, reduced = make.grant(), make.grant()
    sponsored = make.agent()

    again = restored(
        line(Action.AGENT_SUSPENDED, f"agent:{agent.slug}"),
        line(Action.AGENT_RETIRED, f"agent:{sponsored.slug}"),
        line(Action.CLIENT_SECRET_ROTATED, f"client:{client.client_id}"),
        line(Action.GRANT_REVOKED, f"grant:{held.pk}"),
        line(Action.GRANT_REDUCED, f"grant:{reduced.pk}"),
        line(Action.GROUP_LEFT, f"group:{group.slug}", f"person:{member.login}"),
        line(Action.PERSON_DISABLED, f"person:{person.login}"),
        line(Action.TOOL_REMOVED, f"tool:{system.slug}/{tool.name}", f"system:{system.slug}"),
        line(Action.REVOCATION_COMMITTED, "revocation:1", target=f"system:{system.slug}"),
        line(Action.KILL_SWITCH_ENGAGED, "guardrail:everything"),
        line(Action.AGENT_SUSPENDED, "agent:made-after-the-backup"),
        line(Action.GRANT_REVOKED, f"grant:{uuid4()}"),
    )

    assert (len(again.applied), again.unknown, again.closed) == (10, [], [])
    for row in (system, agent, sponsored, person, client, tool, held, reduced):
        row.refresh_from_db()
    assert (agent.status, sponsored.status, system.status) == ("suspended", "retired", "disabled")
    assert (person.is_active, tool.state) == (False, "quarantined")
    assert (held.state, reduced.state) == (Grant.State.REVOKED, Grant.State.SUSPENDED)
    assert not group.memberships.exists()
    assert guardrails.is_everything_stopped()
    assert Event.objects.get(action=Action.AGENT_SUSPENDED).reason == stops_since_backup.REASON


def test_whom_a_signal_held_is_held_again_and_not_disabled() -> None:
    admin = make.person(roles=["admin"])
    again = restored(line(Action.RISK_SIGNALLED, f"risk:{uuid4()}", f"person:{admin.login}"))
    admin.refresh_from_db()
    assert (len(again.applied), admin.is_active, admin.held_by_risk) == (1, True, True)


def test_a_stop_that_nobody_can_apply_here_closes_the_systems_that_it_names() -> None:
    named, other = make.system(), make.system()
    again = restored(line(Action.SECRET_WITHHELD, f"system:{named.slug}"))
    assert again.closed == [named.slug]
    assert [stop["action"] for stop in again.unknown] == ["secret.withheld"]
    other.refresh_from_db()
    assert other.status == System.Status.ACTIVE


@pytest.mark.parametrize(
    ("lines", "is_whole"), [([], False), ([line(Action.GUARDRAIL_PUBLISHED, "guardrail:x")], True)]
)
def test_what_concerns_all_or_is_not_known_closes_every_system(lines: list[dict[str, Any]], *, is_whole: bool) -> None:
    slugs = {make.system().slug for _ in range(2)}
    assert slugs <= set(restored(*lines, is_whole=is_whole).closed)


@pytest.mark.parametrize("action", sorted(STOPS))
def test_a_stop_that_cannot_be_read_is_unknown_and_never_passed_over(action: Action) -> None:
    again = restored(line(action))
    assert again.unknown or action in (Action.KEY_RETIRED, Action.KEY_WITHDRAWN, Action.KILL_SWITCH_ENGAGED)


def test_two_people_open_a_system_that_a_restore_closed() -> None:
    system, first, second = make.system(), make.analyst(), make.analyst()
    restored(is_whole=False)

    with pytest.raises(SecondPersonNeeded):
        systems.enable_system(system, by=SYSTEM, reason="a script")
    assert systems.enable_system(system, by=first.principal, reason="checked").status == System.Status.DISABLED
    with pytest.raises(SecondPersonNeeded):
        systems.enable_system(system, by=first.principal, reason="checked again")
    assert systems.enable_system(system, by=second.principal, reason="checked too").status == System.Status.ACTIVE
    assert Event.objects.filter(action=Action.SYSTEM_OPENING_PROPOSED).count() == 1


def test_a_system_is_not_opened_by_the_second_after_the_first_left() -> None:
    system, first, second, third = make.system(), make.analyst(), make.analyst(), make.analyst()
    restored(is_whole=False)
    systems.enable_system(system, by=first.principal, reason="checked")
    people.disable(first, by=SYSTEM, reason="left")
    assert systems.enable_system(system, by=second.principal, reason="checked").status == System.Status.DISABLED
    assert systems.enable_system(system, by=third.principal, reason="checked too").status == System.Status.ACTIVE


def test_a_second_restore_closes_what_the_first_one_did_and_two_people_opened() -> None:
    system, first, second = make.system(), make.analyst(), make.analyst()
    for _ in range(2):
        restored(is_whole=False)
        assert systems.enable_system(system, by=first.principal, reason="ok").status == System.Status.DISABLED
        assert systems.enable_system(system, by=second.principal, reason="ok").status == System.Status.ACTIVE


def test_a_restored_backup_that_a_sealer_finds_stops_everything_until_the_restore_is_finished() -> None:
    after_restore.close("the anchor has seen 9 events, the database holds 7")
    assert guardrails.is_everything_stopped()
    with pytest.raises(guardrails.RestoreNotFinished):
        guardrails.restart_everything(by=make.security().principal, reason="it is quiet")
    after_restore.after_restore(by=SYSTEM, reason="the disk died")
    assert not guardrails.is_everything_stopped()


def test_without_the_copy_a_restore_leaves_every_system_closed_and_says_so() -> None:
    system = make.system()
    log.record(Action.AGENT_SUSPENDED, by=SYSTEM, about=["agent:x"])
    done = after_restore.after_restore(by=SYSTEM, reason="the disk died")
    assert (done.is_whole, system.slug in done.closed) == (False, True)
    event = Event.objects.get(action=Action.AUDIT_LOG_RESTORED)
    assert (event.detail["is_whole"], event.detail["closed"]) == (False, done.closed)


def test_a_backup_of_before_the_first_checkpoint_revives_nothing_that_is_kept_outside(
    settings: Settings, tmp_path: Path
) -> None:
    settings.SEAL_KEY_FILE, settings.ANCHOR_FILE = str(tmp_path / "seal.pem"), str(tmp_path / "anchor")
    key, agent = seal_key.create(tmp_path / "seal.pem", "log.example"), make.agent()
    kept = chain.canonical({"index": 3, **line(Action.AGENT_SUSPENDED, f"agent:{agent.slug}")}).decode()
    outside = anchors.File(tmp_path / "anchor")
    outside.path.touch()
    outside.beside("stops").path.write_text(Note("log.example", 0, 9, (kept,)).sign(key))

    assert after_restore.after_restore(by=SYSTEM, reason="the disk died").ended.stops == 1
    agent.refresh_from_db()
    assert agent.status == "suspended"
