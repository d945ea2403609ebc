"""Names of tools in paths."""

from __future__ import annotations

import pytest
from django.urls import Resolver404, resolve, reverse

from entitlements.catalog import addresses

NAMES = [
    "get_time",
    "resources/crm://notes?a=b#c",
    "resources/templates/crm://orders/{id}",
    "prompts/code%20review~2",
    "resources/file:///../x",
]


@pytest.mark.parametrize("name", NAMES)
def test_a_name_is_one_segment_and_is_read_back(name: str) -> None:
    address = reverse("tool", args=["crm", name])
    assert address.count("/") == "/api/v1/tools/crm/x".count("/")
    assert resolve(address).kwargs == {"system": "crm", "name": name}
    assert resolve(reverse("tool-page", args=["crm", name])).kwargs["name"] == name


@pytest.mark.parametrize("segment", ["a~2Fb~2", "~61", "resources~2f", "a~FF", "resources~2Fa%3Ab", "x~y"])
def test_one_name_has_one_address(segment: str) -> None:
    with pytest.raises(Resolver404):
        resolve(f"/api/v1/tools/crm/{segment}")
    with pytest.raises(ValueError):  # noqa: PT011 - as converters of paths raise it
        addresses.decode(segment)
