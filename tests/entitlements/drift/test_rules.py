"""The detectors of drift: what each says of what is recorded, and what it passes over."""

from __future__ import annotations

import pytest

from entitlements.agents.rules import is_attested
from entitlements.drift import rules
from entitlements.drift.rules import History
from entitlements.risk.rules import DEFAULTS, Kind, Mode

ENOUGH = History(rules.LEAST_DAYS, rules.LEAST_CALLS, busiest=40)
TOO_LITTLE = (History(rules.LEAST_DAYS - 1, 10_000, 40), History(28, rules.LEAST_CALLS - 1, 40))


@pytest.mark.parametrize(
    ("source", "network", "of_class"),
    [
        ("192.0.2.7", "192.0.2.0/24", "private"),
        ("8.8.4.4", "8.8.4.0/24", "public"),
        ("::ffff:8.8.4.4", "8.8.4.0/24", "public"),
        ("10.1.2.3", "10.1.2.0/24", "private"),
        ("100.64.0.9", "100.64.0.0/24", "shared"),
        ("127.0.0.1", "127.0.0.0/24", "loopback"),
        ("2600:1f18:1:2::5", "2600:1f18:1::/48", "public"),
        ("fd00::1", "fd00::/48", "private"),
        ("fe80::1", "fe80::/48", "link-local"),
    ],
)
def test_an_address_is_of_a_network_and_a_class(source: str, network: str, of_class: str) -> None:
    assert rules.network_of(source) == (network, of_class)


def test_what_is_no_address_is_of_no_network_and_a_digest_joins_no_two_sessions() -> None:
    assert rules.network_of("unix:/run/edge.sock") is None
    assert rules.digest("s1", "8.8.4.0/24") != rules.digest("s2", "8.8.4.0/24")
    assert rules.digest("s1", "8.8.4.0/24") == rules.digest("s1", "8.8.4.0/24")


def test_a_client_that_rotates_or_updates_itself_has_not_drifted() -> None:
    assert rules.of_client("client.keys_replaced", {}) is not None
    assert rules.of_client("client.secret_rotated", {}) is not None
    assert rules.of_client("client.document_applied", {"changed": ["keys"]}) is not None
    assert rules.of_client("client.document_applied", {"changed": ["redirect_uris"]}) is not None
    others: list[dict[str, object]] = [{"changed": []}, {}, {"redirect_uris": "http://127.0.0.1/callback"}]
    for detail in others:
        assert rules.of_client("client.document_applied", detail) is None
    assert rules.of_client("client.credential_rotated", {}) is None


@pytest.mark.parametrize(
    ("source", "by", "counts"),
    [
        ("ci", "person:ana", True),
        ("ci", "client:build", False),
        ("ci", "agent:bot", False),
        ("manual", "person:ana", False),
        ("cimd", "system:mandate", False),
        ("unknown", "person:ana", False),
    ],
)
def test_only_a_build_that_the_agent_is_not_attests_a_version(source: str, by: str, counts: bool) -> None:  # noqa: FBT001
    assert is_attested(source, by) is counts


def test_a_version_drifts_by_its_model_or_prompt_and_not_by_what_is_not_known() -> None:
    before = {"model": "m1", "prompt_sha256": "a" * 64}
    assert rules.of_version(None, before) is None
    assert rules.of_version(before, before) is None
    assert rules.of_version(before, {"model": "m1", "prompt_sha256": "", "client_metadata_sha256": "b"}) is None
    assert "another model than" in (rules.of_version(before, {**before, "model": "m2"}) or "")
    both = rules.of_version(before, {"model": "m2", "prompt_sha256": "b" * 64})
    assert "another model and prompt than" in (both or "")


def test_a_person_moves_from_what_was_known() -> None:
    moved = {"changed": ["department", "manager"], "manager": {"from": "ana", "to": "bo"}}
    assert rules.of_person(moved) == "The person has another department and manager."
    assert rules.of_person({"changed": ["contract_type"]}) == "The person has another type of contract."
    assert rules.of_person({"changed": ["manager"], "manager": {"from": None, "to": "bo"}}) is None
    assert rules.of_person({"changed": ["name", "email"]}) is None
    assert rules.of_person({"changed": ["manager"], "manager": {"from": "ana", "to": None}}) is not None


def test_what_agents_did_before_is_asked_for_enough_of_it() -> None:
    for history in TOO_LITTLE:
        assert rules.of_tool_class("write internal", history, used_before=False) is None
        assert rules.of_hour(3, history, used_near=False) is None
        assert rules.of_volume(10_000, history) is None
    assert rules.of_tool_class("write internal", ENOUGH, used_before=False)
    assert rules.of_tool_class("write internal", ENOUGH, used_before=True) is None
    assert "03:00 UTC" in (rules.of_hour(3, ENOUGH, used_near=False) or "")
    assert rules.of_hour(3, ENOUGH, used_near=True) is None


def test_a_volume_is_too_much_beyond_three_times_the_busiest_hour_and_never_below_fifty() -> None:
    assert rules.of_volume(120, ENOUGH) is None
    assert rules.of_volume(121, ENOUGH)
    quiet = History(20, 200, busiest=2)
    assert rules.of_volume(49, quiet) is None
    assert rules.of_volume(50, quiet)


def test_every_detector_begins_in_observe_and_is_named_with_its_version() -> None:
    assert {each.kind for each in rules.DETECTORS} == {kind for kind in Kind if kind.endswith("_drift")} - {
        Kind.DEFINITION_DRIFT
    }
    assert {DEFAULTS[each.kind].mode for each in rules.DETECTORS} == {Mode.OBSERVE}
    assert rules.NAMED["tool-class-drift"].source == "detector:tool-class-drift@1"
