"""Pure: which tools stand on a side of a rule, and what completes it."""

from __future__ import annotations

from typing import Any

import pytest

from entitlements.definitions.classes import FLOWS
from entitlements.words import Action, Risk
from governance.sod import rules as sod_rules
from governance.sod.rules import HeldTool

TRIFECTA = sod_rules.read([{"flows": [flow]} for flow in FLOWS])


def held(name: str = "read", *, system: str = "mail", risk: Risk = Risk.LOW, **fields: Any) -> HeldTool:  # noqa: ANN401 - of any field
    return HeldTool(system, name, fields.pop("action", "read"), risk, fields.pop("data_class", "internal"), **fields)


def test_one_tool_of_every_side_completes_a_combination() -> None:
    reads = held("search_mail", flows=frozenset({"reads_private", "ingests_untrusted"}))
    sends = held("post", flows=frozenset({"egress_external"}))
    assert sod_rules.completed(TRIFECTA, [reads]) is None
    assert sod_rules.completed(TRIFECTA, [reads, sends]) == ((reads,), (reads,), (sends,))


def test_one_tool_may_stand_on_every_side() -> None:
    browser = held("browse", flows=frozenset({"reads_private", "ingests_untrusted", "egress_external"}))
    assert sod_rules.completed(TRIFECTA, [browser]) is not None


@pytest.mark.parametrize(("risk", "counts"), [(Risk.LOW, False), (Risk.MEDIUM, False), (Risk.HIGH, True)])
def test_a_flow_nobody_knows_counts_as_there_from_high_risk_on(risk: Risk, counts: bool) -> None:  # noqa: FBT001
    unsure = held("run", risk=risk, unsure=frozenset({"reads_private", "ingests_untrusted", "egress_external"}))
    assert (sod_rules.completed(TRIFECTA, [unsure]) is not None) is counts


def test_all_selectors_of_a_side_must_fit() -> None:
    (side, _other) = sod_rules.read(
        [
            {"systems": ["ma*"], "tools": ["*VENDOR*"], "actions": ["write"], "data_classes": ["internal"]},
            {"tools": ["x"]},
        ]
    )
    assert side.fits(held("create_vendor", action="write"))
    assert not side.fits(held("create_vendor"))
    assert not side.fits(held("create_vendor", action="write", system="erp"))
    assert not side.fits(held("create_vendor", action="write", data_class="public"))
    assert not side.fits(held("create_invoice", action="write"))


def test_what_an_agent_may_do_in_mandate_counts_only_where_a_side_names_it() -> None:
    console = held("mandate:write", system="mandate", action="write", risk=Risk.HIGH)
    named, anything = sod_rules.read([{"systems": ["mandate"], "actions": ["write"]}, {"actions": [*Action]}])
    assert named.fits(console)
    assert not anything.fits(console)
    assert sod_rules.completed((named, anything), [console]) is None
    assert sod_rules.completed((named, anything), [console, held()]) is not None


@pytest.mark.parametrize(
    "sides",
    [
        None,
        {},
        [],
        [{"tools": ["x"]}],
        [{"tools": ["x"]}, {}],
        [{"tools": ["x"]}, {"tools": []}],
        [{"tools": ["x"]}, {"tool": ["x"]}],
        [{"tools": ["x"]}, {"tools": "x"}],
        [{"tools": ["x"]}, {"tools": ["[a]"]}],
        [{"tools": ["x"]}, {"actions": ["pay"]}],
        [{"tools": ["x"]}, {"flows": ["egress"]}],
        [{"tools": ["x"]}, {"risk_at_least": "huge"}],
        [{"tools": ["x"]}, {"risk_at_least": ["high"]}],
        [{"tools": ["x"]}] * 6,
    ],
)
def test_a_rule_that_does_not_say_what_it_means_is_refused(sides: object) -> None:
    with pytest.raises(sod_rules.SidesMalformed):
        sod_rules.read(sides)


def test_a_pattern_cannot_run_away() -> None:
    (side, _other) = sod_rules.read([{"tools": ["*a" * 32]}, {"tools": ["x"]}])
    assert not side.fits(held("a" * 31 + "b" * 97))
