"""Personal values can be erased, and the chain still verifies."""

import base64
import hashlib
import hmac
import json
import os

import psycopg
import pytest
from django.db import transaction

from audit import chain, context, log, personal_data
from audit.actions import Action
from audit.export import jsonl
from audit.models import Event, SubjectKey
from audit.retention import erasure
from tests.audit import make

pytestmark = pytest.mark.django_db(transaction=True)
VALUES = {"email": "ana@example.test", "name": "Ana Z\u00fcrn"}


def _record(subject: str = "person:ana") -> Event:
    with transaction.atomic():
        log.record(Action.REFUSED, by=make.ANA, personal={subject: VALUES})
    return Event.objects.latest("at")


def test_personal_values_are_neither_in_the_body_nor_readable_in_the_row() -> None:
    event = _record()

    with psycopg.connect(os.environ["DATABASE_URL"]) as connection:
        row = connection.execute("SELECT events::text FROM events").fetchone()
    assert row is not None
    assert "example.test" not in row[0]
    assert personal_data.openings(event)[0].values == VALUES


def test_an_opening_can_be_checked_against_the_sealed_body_by_anyone() -> None:
    event = _record()
    opening = personal_data.openings(event)[0]

    expected = hmac.new(bytes.fromhex(opening.salt), chain.canonical(opening.values), hashlib.sha256).hexdigest()
    assert event.parsed["personal"] == {"person:ana": expected}


def test_the_same_values_have_a_different_commitment_in_each_event() -> None:
    assert _record().parsed["personal"] != _record().parsed["personal"]


def test_erasing_makes_them_unreadable_and_the_chain_still_verifies(archive: make.Archive) -> None:
    event, other = _record(), _record("person:bob")
    archive.seal()

    assert erasure.erase("person:ana", by=context.SYSTEM, reason="asked to")

    assert personal_data.openings(event) == []
    assert personal_data.openings(other)[0].values == VALUES
    assert not erasure.erase("person:ana", by=context.SYSTEM, reason="again")
    archive.seal()
    assert archive.verify()[0] == 0
    last = Event.objects.latest("at")
    assert (last.action, last.about, last.reason) == (Action.SUBJECT_ERASED, ["person:ana"], "asked to")
    assert SubjectKey.objects.get(subject="person:ana").wrapped is None


def test_what_is_recorded_after_an_erasure_is_readable_and_what_was_before_is_not() -> None:
    before = _record()
    erasure.erase("person:ana", by=context.SYSTEM, reason="asked to")

    assert personal_data.openings(_record())[0].values == VALUES
    assert personal_data.openings(before) == []


def test_a_value_moved_to_another_event_is_noticed() -> None:
    first, second = _record(), _record()
    second.personal = first.personal

    with pytest.raises(personal_data.PersonalDataAltered):
        personal_data.openings(second)


def test_an_altered_value_is_noticed() -> None:
    event = _record()
    assert event.personal is not None
    blob = bytearray(base64.b64decode(event.personal["person:ana"]["value"]))
    blob[-1] ^= 1
    event.personal["person:ana"]["value"] = base64.b64encode(blob).decode()

    with pytest.raises(personal_data.PersonalDataAltered):
        personal_data.openings(event)


def test_openings_are_exported_apart_from_the_leaves_and_only_when_asked(archive: make.Archive) -> None:
    _record()
    archive.seal()

    assert b"example.test" not in b"".join(jsonl.lines())
    opened = [json.loads(line) for line in jsonl.openings()]
    assert [(line["index"], line["subject"], line["values"]) for line in opened] == [(0, "person:ana", VALUES)]
