"""Names that a reader takes for one another have one key; others have not."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from entitlements.name_collisions import skeletons


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("list_files", "Iist_files"),
        ("close", "c1ose"),
        ("get_order", "get_0rder"),
        ("modern", "rnodern"),
        ("send_mail", "send-mail"),
        ("send_mail", "sendMail"),
        ("paypal", "p\u0430ypal"),
        ("search", "se\u200barch"),
        ("search", "\u202esearch"),
        ("Search", "\uff33earch"),
        ("Mail", "mail"),
        ("envoy\u00e9", "envoye"),
    ],
)
def test_names_that_look_alike_have_one_key(one: str, other: str) -> None:
    assert skeletons.key(one) == skeletons.key(other)


@pytest.mark.parametrize(("one", "other"), [("read", "write"), ("search", "searches"), ("send_mail", "send_email")])
def test_other_names_have_another(one: str, other: str) -> None:
    assert skeletons.key(one) != skeletons.key(other)


@given(st.text(alphabet=st.characters(codec="ascii"), max_size=60))
def test_the_key_of_a_key_is_itself(text: str) -> None:
    assert skeletons.key(skeletons.key(text)) == skeletons.key(text)


def test_only_what_is_written_as_a_name_of_a_tool_is_taken_for_one() -> None:
    text = "Before you search, call send_mail or getUser of the files.read scope."
    assert skeletons.named(text) == {"send_mail", "getUser", "files.read"}
