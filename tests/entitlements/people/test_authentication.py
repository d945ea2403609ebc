"""How a person signed in, by what the browser session's records hold: pure."""

from __future__ import annotations

from typing import Any

import pytest

from entitlements import authentication
from entitlements.authentication import MULTI_FACTOR, OWN, PASSWORD, PHISHING_RESISTANT

PWD: dict[str, Any] = {"method": "password", "at": 1.0}
TOTP: dict[str, Any] = {"method": "mfa", "type": "totp", "at": 2.0}
CODE: dict[str, Any] = {"method": "mfa", "type": "recovery_codes", "at": 2.0}
KEY: dict[str, Any] = {"method": "mfa", "type": "webauthn", "at": 2.0}
PASSKEY: dict[str, Any] = {**KEY, "passwordless": True}


def company(acr: object = None, amr: object = None) -> dict[str, Any]:
    claims = {name: value for name, value in (("acr", acr), ("amr", amr)) if value is not None}
    return {"method": "socialaccount", "at": 1.0, "claims": authentication.company_claims(claims)}


@pytest.mark.parametrize(
    ("records", "acr", "amr"),
    [
        ([], "", ()),
        ([PWD], PASSWORD, ("pwd",)),
        ([PWD, TOTP], MULTI_FACTOR, ("pwd", "otp", "mfa")),
        ([PWD, CODE], MULTI_FACTOR, ("pwd", "mfa")),
        ([PWD, KEY], PHISHING_RESISTANT, ("pwd", "pop", "mfa")),
        ([PASSKEY], PHISHING_RESISTANT, ("pop", "mfa")),
        ([PWD, TOTP, KEY, PWD], PHISHING_RESISTANT, ("pwd", "otp", "mfa", "pop")),
        ([company()], "", ()),
        ([{"method": "socialaccount", "at": 1.0}], "", ()),
        ([company("loa2", ["pwd", "sms"])], "loa2", ("pwd", "sms")),
        ([company("loa2", ["pwd", "mfa"])], MULTI_FACTOR, ("pwd", "mfa")),
        ([company("loa1"), company("loa2")], "loa2", ()),
        ([company("loa2"), company()], "", ()),
        ([company("loa2"), TOTP], MULTI_FACTOR, ("otp", "mfa")),
        ([company("loa2"), PWD], "loa2", ("pwd",)),
        ([company(7, "pwd")], "", ()),
        ([company("a\nb", ["c\nd"])], "", ()),
    ],
)
def test_context_and_methods_are_those_of_the_records(
    records: list[dict[str, Any]], acr: str, amr: tuple[str, ...]
) -> None:
    known = authentication.from_records(records)
    assert (known.answer(()), known.methods) == (acr, amr)


@pytest.mark.parametrize(
    ("records", "met"),
    [([], set()), ([PWD], {PASSWORD}), ([PWD, TOTP], {PASSWORD, MULTI_FACTOR}), ([PASSKEY], set(OWN))],
)
def test_a_stronger_sign_in_meets_what_a_weaker_one_does(records: list[dict[str, Any]], met: set[str]) -> None:
    known = authentication.from_records(records)
    assert {context for context in (*OWN, "loa2", "") if known.covers(context)} == met


def test_the_companys_context_is_met_to_the_letter() -> None:
    known = authentication.from_records([company("loa2")])
    assert [known.covers(context) for context in ("loa2", "loa", "LOA2", PASSWORD)] == [True, False, False, False]


def test_the_answer_is_the_first_context_asked_for_that_is_met() -> None:
    known = authentication.from_records([company("loa2"), TOTP])
    assert known.answer([PHISHING_RESISTANT, "loa2", MULTI_FACTOR]) == "loa2"
    assert known.answer([PASSWORD]) == PASSWORD
    assert known.answer([PHISHING_RESISTANT, "loa9"]) == MULTI_FACTOR


def test_what_a_company_states_is_kept_to_its_form_and_size() -> None:
    kept = authentication.company_claims({"acr": "a" * 300, "amr": ["m" * 70] * 20, "more": 1})
    assert (len(kept["acr"]), len(kept["amr"]), len(kept["amr"][0]), set(kept)) == (255, 16, 64, {"acr", "amr"})
