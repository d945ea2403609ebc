"""What ended access is kept beside the checkpoints, signed, each once and without a gap."""

import os
import re
from collections.abc import Callable
from datetime import datetime, timedelta

import pytest
from django.db import transaction

from audit import chain, log
from audit.actions import Action
from audit.models import KeptStop
from audit.seals import anchors, stops
from governance.operations import invariants
from tests.architecture import tree
from tests.audit import make

pytestmark = pytest.mark.django_db(transaction=True)

NO_STOPS = frozenset(
    {
        *(Action.AGENT_ACTIVATED, Action.AGENT_BACKUP_CHANGED, Action.AGENT_CRITICALITY_CHANGED),
        *(Action.AGENT_EDITED, Action.AGENT_KIND_RULED, Action.AGENT_OWNERSHIP_DECLINED),
        *(Action.AGENT_OWNERSHIP_PROPOSED, Action.AGENT_OWNER_CHANGED, Action.AGENT_REGISTERED),
        *(Action.AGENT_RESTORED, Action.AGENT_SPONSOR_CHANGED, Action.API_TOKEN_MADE),
        *(Action.API_TOKEN_REVOKED, Action.AUDIT_LOG_RESTORED, Action.BUDGET_ENDED),
        *(Action.CLIENT_CERTIFICATE_SET, Action.CLIENT_CREDENTIAL_PROPOSED, Action.CLIENT_DOCUMENT_APPLIED),
        *(Action.CLIENT_ENABLED, Action.CLIENT_HIDDEN, Action.CLIENT_REGISTERED),
        *(Action.CLIENT_RETURNED, Action.CONNECTION_BEGUN, Action.CONNECTOR_ADDED),
        *(Action.CONNECTOR_ENROLLED, Action.DECOY_ENDED, Action.DECOY_PLANTED),
        *(Action.DELEGATION_PERMITTED, Action.DRILL_COMMITTED, Action.DRILL_SETTLED),
        *(Action.ENTITLEMENT_MADE, Action.GRANT_EXPIRED, Action.GRANT_ISSUED),
        *(Action.GRANT_REDUCTION_UNDONE, Action.GRANT_RESTORED, Action.GROUP_JOINED),
        *(Action.GROUP_MADE, Action.ISSUER_TRUSTED, Action.KEY_ACTIVATED),
        *(Action.KEY_MADE, Action.KILL_SWITCH_RELEASED, Action.PERSON_EDITED),
        *(Action.PERSON_ENABLED, Action.PERSON_IDENTITY_LINKED, Action.PERSON_NAMED_AT_SYSTEM),
        *(Action.PERSON_REGISTERED, Action.PERSON_ROLE_ASSIGNED, Action.PERSON_ROLE_ENDED),
        *(Action.REVOCATION_SETTLED, Action.SECRET_GIVEN_BACK, Action.SECRET_LEAKED),
        *(Action.SECRET_SET, Action.SESSION_ENDED),
        *(Action.SESSION_POLICY_ENDED, Action.SESSION_POLICY_PROPOSED, Action.SESSION_POLICY_WITHDRAWN),
        *(Action.STDIO_COMMAND_ALLOWED, Action.STDIO_COMMAND_PROPOSED, Action.STDIO_COMMAND_WITHDRAWN),
        *(Action.SYSTEM_ENABLED, Action.SYSTEM_NETWORK_CONFIRMED, Action.SYSTEM_NETWORK_PROPOSED),
        *(Action.SYSTEM_NETWORK_WITHDRAWN, Action.SYSTEM_OPENAPI_READ, Action.SYSTEM_OPENING_PROPOSED),
        *(Action.SYSTEM_OPERATION_DECLARED, Action.SYSTEM_REGISTERED, Action.TOKEN_FAMILY_REVOKED),
        *(Action.TOKEN_REVOKED, Action.TOOL_APPROVED, Action.TOOL_ENABLED),
        *(Action.TOOL_FOUND, Action.TOOL_RETURNED, Action.WORKLOAD_RULE_MADE),
    }
)
"""Events of what begins, changes without taking access away, expires by itself, or ends in every restore."""


def suspend(count: int = 1) -> None:
    rows = [log.Row(about=[f"agent:robot-{n}"], reason="stolen laptop") for n in range(count)]
    with transaction.atomic():
        log.record_many(Action.AGENT_SUSPENDED, rows, by=make.ANA)


def notes(archive: make.Archive) -> list[stops.Note]:
    text = anchors.File(archive.anchor).beside("stops").path.read_text()
    return [stops.Note.read(note, archive.key.public_key()) for note in anchors.split(text)]


def test_a_stop_is_kept_outside_with_the_checkpoint_that_covers_it(archive: make.Archive) -> None:
    make.events(3)
    suspend()
    assert not KeptStop.objects.exists()
    archive.seal()

    (note,) = notes(archive)
    assert (note.origin, note.size) == (make.ORIGIN, 4)
    assert '"action":"agent.suspended"' in note.lines[0]
    assert '"links":["agent:robot-0"]' in note.lines[0]
    assert "stolen laptop" not in note.lines[0]
    assert KeptStop.objects.get().kept_at is not None


def test_notes_follow_each_other_without_a_gap_however_many_stops_there_are(archive: make.Archive) -> None:
    for count in (1, 100, 0):
        make.events(2)
        suspend(count)
        archive.seal()

    kept = notes(archive)
    assert [note.first for note in kept[1:]] == [note.size for note in kept[:-1]]
    assert kept[-1].size == 107
    assert sum(len(note.lines) for note in kept) == 101


def test_a_stop_is_not_kept_while_its_anchor_is_out_of_reach(archive: make.Archive) -> None:
    there, archive.folder = archive.folder, archive.folder / "away"
    suspend()
    archive.seal()
    assert KeptStop.objects.get().kept_at is None
    archive.folder = there
    archive.seal()
    assert KeptStop.objects.get().kept_at is not None
    assert len(notes(archive)[0].lines) == 1


def test_a_stop_that_is_in_the_database_alone_for_a_minute_breaks_an_invariant(
    archive: make.Archive, at: Callable[[timedelta], datetime]
) -> None:
    archive.folder /= "away"
    suspend()
    archive.seal()
    at(timedelta(seconds=59))
    assert invariants.check(only=["18"])[0].violations == ()
    at(timedelta(seconds=2))
    assert invariants.check(only=["18"])[0].violations[0].startswith("1 stops are not in every anchor")


def test_a_stop_whose_sealer_died_between_the_file_and_the_row_is_said_to_be_kept_by_the_next_one(
    archive: make.Archive,
) -> None:
    suspend()
    archive.seal()
    with make.connect(os.environ["MIGRATE_DATABASE_URL"]) as owner:
        owner.execute("UPDATE stops SET kept_at = NULL")
    archive.seal()
    assert KeptStop.objects.get().kept_at is not None
    assert len(notes(archive)) == 1


def test_no_checkpoint_is_published_before_the_stops_that_it_covers(archive: make.Archive) -> None:
    suspend()
    anchors.File(archive.anchor).beside("stops").path.mkdir()
    archive.seal()
    assert not archive.anchor.exists()


def test_the_sealer_writes_lines_and_nobody_changes_them() -> None:
    for role, statement in {
        "SEAL_DATABASE_URL": "UPDATE stops SET line = ''",
        "DATABASE_URL": "UPDATE stops SET kept_at = now()",
    }.items():
        with make.connect(os.environ[role]) as connection, pytest.raises(Exception, match="permission denied"):
            connection.execute(statement)


def test_stops_are_never_taken_for_a_checkpoint(archive: make.Archive) -> None:
    suspend()
    archive.seal()
    note = anchors.File(archive.anchor).beside("stops").last()
    public = archive.key.public_key()
    for name in (make.ORIGIN, f"{make.ORIGIN}/stops"):
        with pytest.raises(chain.BadNote):
            chain.open_note(note, name, public)
    with pytest.raises(chain.BadNote):
        stops.Note.read(note.replace("robot-0", "robot-1"), public)


def outside(archive: make.Archive, size: int, origin: str = make.ORIGIN) -> stops.Outside:
    return stops.since([anchors.File(archive.anchor)], archive.key.public_key(), origin, size)


def test_what_was_stopped_after_a_backup_is_known_outside(archive: make.Archive) -> None:
    for count in (2, 1, 3):
        suspend(count)
        archive.seal()

    assert [line["index"] for line in outside(archive, 2).lines] == [2, 3, 4, 5]
    assert outside(archive, 2).is_whole
    assert (outside(archive, 6).lines, outside(archive, 6).is_whole) == ((), True)


def test_a_copy_that_lacks_anything_is_not_whole(archive: make.Archive) -> None:
    for _ in range(3):
        suspend()
        archive.seal()
    copy, checkpoints = anchors.File(archive.anchor).beside("stops").path, archive.anchor.read_text()
    text = copy.read_text()
    parts = [f"{note}\n" for note in anchors.split(text)]
    assert outside(archive, 1).is_whole

    assert not outside(archive, 7).is_whole, "the database is ahead of the copy"
    assert not outside(archive, 1, "elsewhere/record").is_whole
    for lacking in (parts[0] + parts[2], parts[0] + parts[1], text.replace("robot-0", "robot-1"), ""):
        copy.write_text(lacking)
        assert not outside(archive, 1).is_whole
    copy.write_text(text)
    archive.anchor.write_text("")
    assert not outside(archive, 1).is_whole
    archive.anchor.write_text(checkpoints)
    copy.unlink()
    assert not outside(archive, 1).is_whole


def test_every_event_of_the_change_feed_is_a_stop_or_takes_nothing_away() -> None:
    noted: set[Action] = set()
    for path in (*tree.ROOT.glob("entitlements/**/*.py"), *tree.ROOT.glob("governance/**/*.py")):
        text = path.read_text()
        if "changes.note" in text:
            noted |= {Action[name] for name in re.findall(r"Action\.([A-Z_]+)", text)}
    assert noted - stops.STOPS == NO_STOPS
