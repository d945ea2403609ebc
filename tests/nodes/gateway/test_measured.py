"""What the record keeps of the arguments of a call: a digest, and numbers that a limit bounds."""

from __future__ import annotations

import json

from audit.context import SYSTEM
from entitlements.grants import grants
from tests import make
from tests.conformance import servers
from tests.nodes.gateway import world
from tests.nodes.gateway.world import Gateway


def test_the_record_of_an_allowed_call_holds_the_numbers_that_a_limit_bounds_and_no_other_argument(
    node: Gateway, time_server: servers.Upstream
) -> None:
    schema = {"properties": {**world.TIMEZONE["properties"], "other": {"type": "integer"}}}
    here = world.build(time_server.url, time_server.secret, schema=schema)
    grants.revoke(here.grant.pk, by=SYSTEM, reason="narrower")
    bounds = {"get_current_time": {"days": {"max": 10, "optional": True}}}
    here.grant = make.grant(here.agent, here.entitlement, people=[here.person], limits=bounds)

    for days in (4, 400):
        node.call(here, timezone="UTC", days=days, other=7)

    told = [event.detail for event in here.events() if event.action in ("call.allowed", "call.denied")]
    assert [each.get("measured") for each in told] == [{"days": 4}, None], "what was refused is not measured"
    assert "UTC" not in json.dumps(told)
