"""Which addresses lead to one mailbox: said twice, in Python and in the database, and the same both times."""

from __future__ import annotations

import unicodedata

import pytest
from django.db import connection
from hypothesis import given, settings
from hypothesis import strategies as st

from entitlements.conflicts import independence
from entitlements.people.mailboxes import mailbox
from tests import make, seeds

SAME = [
    ("ana@example.com", "Ana@EXAMPLE.com"),
    ("ana@example.com", "ana+2@example.com"),
    ("ana@example.com", "ana+2+3@example.com."),
    ("ana@example.com", "\uff41na@example.com"),
    ("stina@example.com", "\u017ftina@example.com"),
    ("ana@example.com", '"ana"@example.com'),
    ("ana@example.com", '"a\\na+x"@example.com'),
    ("anabo@gmail.com", "An.A.bo+x@googlemail.com"),
    ("ana@b\u00fccher.example", "ana@B\u00dcCHER.example"),
]
OTHER = [
    ("ana@example.com", "ana@example.org"),
    ("ana.bo@example.com", "anabo@example.com"),
    ("ana@example.com", "ana-2@example.com"),
    ("+ana@example.com", "+bo@example.com"),
    ("", "ana@example.com"),
]


@pytest.mark.parametrize(("first", "second"), SAME)
def test_these_are_one_mailbox(first: str, second: str) -> None:
    assert mailbox(first) == mailbox(second)


@pytest.mark.parametrize(("first", "second"), OTHER)
def test_these_are_two(first: str, second: str) -> None:
    assert mailbox(first) != mailbox(second)


def in_the_database(emails: list[str]) -> list[str]:
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT entitlements_mailbox(email) FROM unnest(%s::text[]) WITH ORDINALITY AS t (email, n) ORDER BY n",
            [emails],
        )
        return [found for (found,) in cursor.fetchall()]


LETTERS = st.characters(codec="utf-8", exclude_categories=["Cs", "Cc", "Cn", "Co"], max_codepoint=0x1F64F).filter(
    lambda each: unicodedata.unidata_version >= "15" and unicodedata.name(each, "") != ""
)
LOCALS = st.text(st.sampled_from('aAb.+"\\-_@ \u017f\u0130\u212a\uff0b') | LETTERS, max_size=12)
DOMAINS = st.sampled_from(
    ["example.com", "Example.COM.", "gmail.com", "GoogleMail.com", "b\u00dccher.example", "", "."]
)
ADDRESSES = st.builds("{}@{}".format, LOCALS, DOMAINS) | LOCALS


@pytest.mark.django_db
@settings(max_examples=seeds.cases(300, short=30))
@given(st.lists(ADDRESSES, min_size=20, max_size=80))
def test_the_database_says_the_same_of_any_address(emails: list[str]) -> None:
    emails += [each for pair in SAME + OTHER for each in pair]
    assert in_the_database(emails) == [mailbox(each) for each in emails]


@pytest.mark.django_db
@pytest.mark.parametrize(("first", "second"), SAME)
def test_accounts_of_one_mailbox_are_one_humans_whichever_is_asked_about(first: str, second: str) -> None:
    one, other, stranger = make.person("one"), make.person("other"), make.person("stranger")
    for person, email in ((one, first), (other, second)):
        person.email = email
        person.save()

    assert independence.accounts_of(one) == [one, other]
    assert independence.accounts_of(other) == [other, one]
    assert not independence.same_human(one, stranger)
