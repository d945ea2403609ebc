from __future__ import annotations

import pytest

from entitlements.edge import forms

FORM = "application/x-www-form-urlencoded"


def test_a_form_is_read_and_an_empty_parameter_counts_as_left_out() -> None:
    assert forms.read(b"a=1&b=x%20y+z&c=&d", FORM) == {"a": "1", "b": "x y z"}
    assert forms.read(b"", FORM) == {}
    for kind in ("UTF-8", '"utf-8"'):
        assert forms.read(b"&a=%C3%A9&&", f"{FORM}; charset={kind}") == {"a": "é"}


@pytest.mark.parametrize(
    "body",
    [
        b"a=1&a=2",
        b"a=1&%61=2",
        b"a=&a=",
        b"a=%",
        b"a=%4",
        b"a=%zz",
        b"a=%ff",
        b"a=\xff",
        b"a=%00",
        b"a=%1B",
        b"&".join(b"%d=1" % number for number in range(60)),
        b"a=" + b"x" * (forms.LARGEST + 1),
    ],
    ids=lambda body: repr(body[:20]),
)
def test_a_form_that_two_parsers_could_read_differently_is_refused(body: bytes) -> None:
    with pytest.raises(forms.BadForm):
        forms.read(body, FORM)


@pytest.mark.parametrize(
    "kind",
    ["", "application/json", "multipart/form-data; boundary=x", f"{FORM}; charset=utf-16", f'{FORM}; charset="utf-8'],
)
def test_another_content_type_is_refused(kind: str) -> None:
    with pytest.raises(forms.BadForm):
        forms.read(b"a=1", kind)


def test_a_refusal_never_quotes_a_value() -> None:
    with pytest.raises(forms.BadForm) as refused:
        forms.read(b"client_secret=hush&client_secret=hush", FORM)
    assert "hush" not in str(refused.value)
