"""A stored body says the same to Python and to PostgreSQL, whatever was written before NUL was kept out."""

import pytest
from django.db import connection

from audit import bodies, chain, redaction

TRICKY = [
    *("", "plain", "\x00", "a\x00b\x00\x00", "\\", "\\\\", "\\\x00", "\\\\\x00", "\\u0000", "\\\\u0000", "\\\\\\u0000"),
    *('"\x00"', "\n\x00\t\\", "\x01\\\x00", "é\x00\U0001f600", "[U+0000]", "\\ud800", "u0000", "\x00u0000"),
]


@pytest.mark.django_db
def test_python_and_the_database_read_the_same_of_every_body_that_was_ever_stored() -> None:
    stored = [chain.canonical({"detail": {text: text}}).decode() for text in TRICKY]
    with connection.cursor() as cursor:
        asked = f"{bodies.as_jsonb('b')}, {bodies.holds_nul('b')}"
        cursor.execute(f"SELECT {asked} FROM unnest(%s::text[]) WITH ORDINALITY AS t (b, n) ORDER BY n", [stored])  # noqa: S608 - made of constants
        read = cursor.fetchall()

    for text, body, (as_jsonb, holds_nul) in zip(TRICKY, stored, read, strict=True):
        marked = text.replace("\x00", "[U+0000]")
        assert bodies.parse(body) == {"detail": {marked: marked}}, text
        assert chain.canonical(bodies.parse(body)) == chain.canonical(_parsed(as_jsonb)), text
        assert holds_nul == ("\x00" in text), text


def _parsed(value: object) -> object:
    import json  # noqa: PLC0415 - Django hands jsonb of a raw query over as text

    return json.loads(value) if isinstance(value, str) else value


def test_what_is_written_today_reads_as_it_was_written() -> None:
    for text in TRICKY:
        body = chain.canonical({"detail": redaction.clean({"reason": text})}).decode()
        assert r"\u0000" not in body.replace(r"\\", "")
        assert bodies.parse(body) == {"detail": {"reason": text.replace("\x00", "[U+0000]")}}
