"""Lists at the size of a fleet: each page and each list of the API, over HTTP, beside the first query that it makes.

Fifty rows of 100,000 agents or 1,000,000 grants at full size. A page is asked for by somebody who sees everything, and
the heaviest ones by a sponsor, who sees what is hers. Each is asked for in turn, round after round, at one connection.
"""

from __future__ import annotations

from typing import Final

BOUND: Final = 0.3
"""Seconds within which 95 of 100 answers are to come (issue: lists and filters at size)."""
PAGES: Final = (
    "/",
    "/agents/",
    "/agents/?q=payroll",
    "/agents/?q=helper+4711",
    "/agents/?q=nothing-of-that-name",
    "/agents/?state=suspended",
    "/agents/?kind=service&state=suspended",
    "/agents/?sponsor=fleet-person-000007",
    "/agents/?needs=heir",
    "/agents/?system=fleet-001",
    "/agents/fleet-000007/",
    "/agents/fleet-000007/?tab=timeline",
    "/agents/fleet-000007/?tab=tokens",
    "/agents/fleet-000007/?tab=people",
    "/agents/fleet-000007/?tab=versions",
    "/grants/",
    "/grants/?state=any",
    "/grants/?state=suspended",
    "/grants/?state=revoked",
    "/grants/?agent=fleet-000007",
    "/grants/?agent=fleet-000007&state=revoked",
    "/grants/?system=fleet-001",
    "/grants/?system=fleet-001&state=suspended",
    "/grants/?person=fleet-person-000007",
    "/grants/?ending=week",
    "/requests/",
    "/requests/?state=in_approval",
    "/requests/?state=in_approval&risk=high",
    "/requests/?agent=fleet-000011",
    "/requests/?system=fleet-001",
    "/requests/?waiting=me",
    "/requests/?asked=me",
    "/catalogue/",
    "/catalogue/?q=history",
    "/systems/",
    "/systems/?q=department",
    "/systems/?tools=waiting",
    "/systems/fleet-001/",
    "/systems/fleet-001/tools/get_item/",
    "/people/",
    "/people/?q=garcia",
    "/people/fleet-person-000007/",
    "/groups/",
    "/audit/",
    "/audit/?order=oldest",
    "/audit/?lane=call",
    "/audit/?lane=admin",
    "/audit/?lane=review",
    "/audit/?action=grant.revoked",
    "/audit/?about=system:fleet-001",
    "/audit/?about=person:ana",
    "/search/?q=payroll",
    "/search/?q=nothing-of-that-name",
    "/reviews/",
    "/rules/",
    "/stop/",
    "/inbox/",
    "/my-agents/",
    "/requests/new/",
    "/settings/",
)
HERS: Final = ("/", "/agents/", "/grants/", "/grants/?state=any", "/requests/", "/search/?q=payroll", "/my-agents/")
LISTS: Final = (
    *("agents", "agents?status=suspended", "agents?sponsor=fleet-person-000007"),
    *("grants", "grants?state=revoked", "grants?agent=fleet-000007", "grants?system=fleet-001"),
    *("grants?system=fleet-001&state=suspended", "grants?person=fleet-person-000007"),
    *("requests", "requests?state=in_approval", "requests?state=denied"),
    *("systems", "tools", "tools?state=quarantined", "entitlements", "people", "groups", "clients"),
    *("sessions", "sessions?agent=fleet-000007", "tokens", "tokens?agent=fleet-000007"),
    *("audit-events", "audit-events?action=grant.revoked", "audit-events?about=agent:fleet-000007"),
    *("audit-events?about=system:fleet-001", "campaigns", "revocations", "notices", "delegations", "proposals"),
)
