"""The corpus leaves nothing out: every code that an endpoint can answer, every grant type by every method."""

from __future__ import annotations

import itertools
from collections import Counter
from typing import Any, Final

from entitlements.codes import Code
from tests.architecture import tree
from tests.architecture.test_codes import WORD, raised
from tests.protocols.issuers import corpus, recording
from tests.protocols.issuers.families import clients, pairs

ROOMS: Final = ("entitlements/edge/", "entitlements/tokens/", "entitlements/keys/jws.py", "entitlements/ratelimits.py")
MORE: Final = (
    "entitlements/trusted_issuers/issuers.py",
    "entitlements/sessions/sessions.py",
    "governance/operations/hosts.py",
)


def codes_in_source() -> set[str]:
    """Return the codes that are written in the modules behind the endpoints, and those that decisions can have."""
    modules = (
        module for name, module, _ in tree.modules("entitlements", "governance") if name.startswith(ROOMS + MORE)
    )
    written = {code for module in modules for code in raised(module) if WORD.fullmatch(code)}
    return written | {str(code) for code in Code}


def codes_in(answer: Any) -> set[str]:  # noqa: ANN401 - any JSON
    """Return the codes and errors of a recorded answer, and the kinds of strangers that it counted."""
    body, left = answer.get("body"), answer.get("left") or {}
    said = {str(body[name]) for name in ("code", "error") if name in body} if isinstance(body, dict) else set()
    strangers = {kind.partition(" from ")[0] for kind in left.get("strangers", {})}
    return said | strangers | {event.get("code", "") for event in left.get("events", ())}


def everything() -> dict[str, recording.Answer]:
    """Return every recorded answer by the name of its case."""
    return {name: answer for family in corpus.FAMILIES for name, answer in recording.read(family).items()}


_OF_CALLS: Final = (
    "allowed approval_of_call_required argument_not_declared argument_not_valid argument_outside_limit call_withdrawn "
    "account_needs_person account_not_connected approval_required client_unproven guardrail "
    "header_mismatch lease_lapsed malformed_call outside_authorization_details "
    "tool_changed tool_definition_unusable "
    "tool_disabled tool_not_approved tool_quarantined tool_removed unknown_method unknown_tool unsupported_version "
    "upstream_unavailable operation_unknown operation_ambiguous path_malformed parameter_not_declared "
    "rate_exceeded budget_exhausted budget_not_measurable answer_over_budget input_missing secret_in_answer "
    "system_busy request_state_invalid call_over capability_missing task_unknown "
    "subject_unknown resource_unknown action_unknown no_rule "
    "parameter_repeated parameter_not_valid header_not_declared body_type_not_declared body_not_valid"
)
"""Codes of calls: a token is decided without a tool, so one that is stopped leaves `no_grant`."""
ELSEWHERE: Final[dict[str, str]] = {
    **dict.fromkeys(_OF_CALLS.split(), "only a call has it"),
    **dict.fromkeys(["definition_malformed", "limit_malformed"], "what is written in the catalogue"),
    **dict.fromkeys(
        ["clock_unknown", "record_out_of_order", "record_unavailable"],
        "an outage: tests/entitlements/edge/test_failing_closed",
    ),
    **dict.fromkeys(["client_unknown", "feed_unknown"], "a race: tests/entitlements/edge/test_races"),
    **dict.fromkeys(
        ["refresh_token_reused", "token_family_ended", "token_family_expired"],
        "the life of a sign-in: tests/entitlements/edge/test_refresh",
    ),
    **dict.fromkeys(
        [
            "actor_not_permitted",
            "actor_token_type_not_supported",
            "delegation_chain_invalid",
            "delegation_cycle",
            "delegation_not_permitted",
            "delegation_too_deep",
        ],
        "a chain of agents: tests/entitlements/delegation",
    ),
    **dict.fromkeys(
        ["bad_key", "jwks_mismatch", "key_is_not_new", "keys_in_document", "not_supported", "rotated_before"],
        "a client rotates its credential: tests/entitlements/edge/test_rotation",
    ),
    **dict.fromkeys(
        ["client_not_named", "vendor_subject_missing", "vendor_switched_off", "vendor_trusts_provider"],
        "a vendor's own server: tests/entitlements/vendors/test_vendor_exchange",
    ),
    **dict.fromkeys(
        ["workload_ambiguous", "workload_refused", "workload_rule_ended", "workload_unknown"],
        "a workload: tests/entitlements/workload_identity",
    ),
    "connection_missing": "the end of a connection: tests/entitlements/edge/test_personal_matrix",
    "sponsor_missing": "each agent has a sponsor in the database",
    "token_missing": "the endpoints ask for the parameter first",
}
"""Codes that no request here can get, and why."""


def test_every_code_that_the_endpoints_can_answer_is_answered_in_the_corpus() -> None:
    answered = set().union(*map(codes_in, everything().values()))
    assert sorted(codes_in_source() - answered - ELSEWHERE.keys()) == []
    assert sorted(answered & ELSEWHERE.keys()) == []


def test_every_grant_type_is_tried_by_every_way_of_authenticating() -> None:
    recorded = everything()
    for endpoint in pairs.ENDPOINTS[:2]:
        pairs_here = itertools.product(pairs.GRANTS, clients.METHODS)
        missing = [pair for pair in pairs_here if f"grant: {pair[0]}, {pair[1]}, {endpoint}" not in recorded]
        assert missing == []


def test_no_two_cases_have_the_same_name_and_each_is_recorded() -> None:
    names = Counter(case.name for case in corpus.all_cases())
    assert [name for name, times in names.items() if times > 1] == []
    assert names.keys() == everything().keys()
    assert len(names) > 4000


def test_the_record_is_small_enough_to_be_read() -> None:
    assert sum(recording.file_of(family).stat().st_size for family in corpus.FAMILIES) < recording.LARGEST
