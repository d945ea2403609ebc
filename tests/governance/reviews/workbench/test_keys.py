"""Single keys are turned off or put elsewhere on a page that works without script; the choice is a cookie."""

from __future__ import annotations

import pytest

from governance.reviews.workbench import keys
from tests.governance import companies
from tests.governance.console import visits


@pytest.mark.parametrize("letters", ["aertu", "aertuzz", "aaertu", "jertuz", "AERTUZ", "aert z", "aert“z", ""])
def test_keys_that_are_no_letters_or_twice_the_same_or_taken_are_none(letters: str) -> None:
    assert not keys.are_usable(letters)
    assert keys.read(f"on-{letters}") == keys.Keys()


@pytest.mark.django_db
def test_what_is_chosen_is_in_every_page_after_it() -> None:
    browser = visits.as_(companies.found().sofia)
    assert 'data-keys="on-aertuz"' in visits.text(browser.get("/"))

    assert browser.post("/settings/keys/", {"key": list("1234uz")}).status_code == 302
    assert 'data-keys="off-1234uz"' in visits.text(browser.get("/"))
    assert browser.post("/settings/keys/", {"on": "yes", "usual": "yes"}).status_code == 302
    assert 'data-keys="on-aertuz"' in visits.text(browser.get("/"))


@pytest.mark.django_db
def test_a_key_that_another_act_has_is_refused_and_what_was_typed_stays() -> None:
    browser = visits.as_(companies.found().sofia)

    answer = browser.post("/settings/keys/", {"on": "yes", "key": ["j", "<", "r", "t", "u", "z"]})

    assert answer.status_code == 422
    assert 'value="j"' in visits.text(answer)
    assert 'value="&lt;"' in visits.text(answer)
    assert browser.cookies.get("keys") is None
