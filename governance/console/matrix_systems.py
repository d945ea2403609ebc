"""Who may open which page of systems, tools and entitlements."""

from __future__ import annotations

from typing import Final

from .matrix_rows import Pages, both, like

SYSTEMS: Final[Pages] = {
    ("system-list", "GET"): like("systems GET"),
    ("system-page", "GET"): like("system GET"),
    **both(like("systems", also=("system-secret PUT",)), "system-add"),
    **both(like("systems"), "rest-api-add"),
    **both(like("systems"), "local-server-add"),
    ("rest-api-page", "GET"): like("system-openapi GET"),
    ("rest-api-read", "POST"): like("system-openapi PUT"),
    ("rest-api-declare", "POST"): like("system-operations"),
    **both(like("imports"), "import-add"),
    ("import-page", "GET"): like("import GET", also=("import-confirm",)),
    ("import-start", "POST"): like("import-confirm"),
    **both(like("system PATCH"), "system-edit"),
    **both(like("system-secret PUT"), "system-credential"),
    ("system-accounts", "GET"): like("connected-accounts GET", also=("connected-account-end",)),
    ("system-network-page", "GET"): like(
        "system-networks GET",
        also=(
            *("system-network-propose", "system-network-confirm", "system-network-withdraw", "system-network-end"),
            *("system-client-certificate PUT", "system-client-certificate-forget"),
            *("system-connector-add", "connector-revoke"),
        ),
    ),
    ("system-network-page", "POST"): like("system-network-propose"),
    ("system-network-decide", "POST"): like("system-network-confirm", "system-network-withdraw", "system-network-end"),
    ("connector-add", "POST"): like("system-connector-add"),
    ("system-connector-revoke", "POST"): like("connector-revoke"),
    ("system-certificate-set", "POST"): like("system-client-certificate PUT"),
    ("system-certificate-forget", "POST"): like("system-client-certificate-forget"),
    **both(like("systems"), "vendor-add"),
    **both(like("system-vendor PATCH"), "vendor-edit"),
    ("vendor-name-client", "POST"): like("system-client-id PUT"),
    ("vendor-name-person", "POST"): like("system-subject PUT"),
    ("vendor-test-client", "POST"): like("system-test-client PUT"),
    ("vendor-test-trust", "POST"): like("system-test-trust"),
    **both(like("entitlements"), "entitlement-add"),
    **both(like("entitlement PATCH"), "entitlement-edit"),
    ("approve-easy", "POST"): like("tool-approve"),
    ("approve-unchanged", "POST"): like("tool-approve"),
    ("tool-triage", "POST"): like("tool-approve", "tool-disable", also=("tool-quarantine",)),
    ("tool-list", "GET"): like("tools GET"),
    ("tool-changes", "GET"): like("tools GET", also=("tool-approve",)),
    ("tool-changes", "POST"): like("tool-approve", "tool-disable", "tool-quarantine"),
    ("tools-stop", "POST"): like("tool-disable"),
    ("discover", "POST"): like("system-discover"),
    ("change-proposal-list", "GET"): like(
        "change-proposals GET", also=("change-proposal-confirm", "change-proposal-withdraw")
    ),
    ("change-proposal-decide", "POST"): like("change-proposal-confirm", "change-proposal-withdraw"),
    ("session-policies-page", "GET"): like(
        "session-policies GET",
        also=("session-policies", "session-policy-confirm", "session-policy-withdraw", "session-policy-end"),
    ),
    **both(like("session-policies", also=("decisions-what-if",)), "session-policy-propose"),
    ("session-policy-propose", "POST"): like("session-policies", "decisions-what-if"),
    ("session-policy-decide", "POST"): like("session-policy-confirm", "session-policy-withdraw", "session-policy-end"),
    ("stdio-commands-page", "GET"): like(
        "stdio-commands GET",
        also=("stdio-commands", "stdio-command-confirm", "stdio-command-withdraw", "stdio-command-end"),
    ),
    **both(like("stdio-commands"), "stdio-command-propose"),
    ("stdio-command-decide", "POST"): like("stdio-command-confirm", "stdio-command-withdraw", "stdio-command-end"),
    ("system-start", "POST"): like("system-enable"),
    ("tool-page", "GET"): like("tool GET", also=("change-proposal-confirm", "change-proposal-withdraw")),
    ("tool-page", "POST"): like("tool-approve", "tool-quarantine", "tool-enable"),
}
