"""Who may call what: one row for each address and method of the API. Without a row no caller may.

`roles` may, whatever the object; who stands in one of the `related` relations to the object may as well. `scope` is
what the token of a script or an agent must carry; an agent must besides be the object's own. What a caller may not even
see is not decided here: it is never found (`visibility`).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from types import MappingProxyType
from typing import Final

from entitlements.people.models import Role

READ, WRITE, REVOKE = "mandate:read", "mandate:write", "mandate:revoke"


@dataclass(frozen=True, slots=True)
class Row:
    """Who may call one address with one method."""

    roles: frozenset[str] = frozenset()
    related: frozenset[str] = frozenset()
    scope: str = ""
    finer: str = ""
    """The scope that opens this kind of thing alone: `mandate:grants:read` beside `mandate:read`."""
    anybody: bool = False
    """Every signed-in person; what each sees is decided by `visibility`."""
    public: bool = False
    shut_to_agents: bool = False
    """Whether an agent may not even do it to what is its own."""
    limitable: bool = False
    """Whether a role that is limited to systems or departments opens it too, for what is within the limit."""
    proven: str = ""
    """Whether it needs a fresh proof (`reauthentication`): ALWAYS, or WEIGHTY: where what is done is of high risk."""

    def needs_proof(self, *, weighs: bool = False) -> bool:
        """Return whether a fresh proof is needed; `weighs` says that what is done is of high risk."""
        return self.proven == ALWAYS or (self.proven == WEIGHTY and weighs)


ALWAYS: Final = "always"
WEIGHTY: Final = "weighty"

type Matrix = Mapping[tuple[str, str], Row]


def row(*roles: str, related: str = "", scope: str = "", proven: str = "") -> Row:
    """Write a row: the roles, the relations separated by spaces, the scope, when it asks for a proof."""
    return Row(frozenset(roles), frozenset(related.split()), scope, proven=proven)


_KINDS: Final = {
    **dict.fromkeys(("agent", "agents"), "agents"),
    **dict.fromkeys(("person", "people"), "people"),
    **dict.fromkeys(("group", "groups"), "groups"),
    **dict.fromkeys(("system", "systems", "openapi", "connector", "connectors"), "systems"),
    **dict.fromkeys(("tool", "tools"), "tools"),
    **dict.fromkeys(("entitlement", "entitlements"), "entitlements"),
    **dict.fromkeys(("grant", "grants"), "grants"),
    **dict.fromkeys(("session", "sessions"), "sessions"),
    **dict.fromkeys(("token", "tokens"), "tokens"),
    **dict.fromkeys(("client", "clients", "workload-rule", "workload-rules"), "clients"),
    **dict.fromkeys(("connection", "connections"), "connections"),
    **dict.fromkeys(("connected-account", "connected-accounts"), "connected-accounts"),
    **dict.fromkeys(("revocation", "revocations", "drill", "drills"), "revocations"),
    **dict.fromkeys(("trusted-issuer", "trusted-issuers"), "issuers"),
    **dict.fromkeys(("stdio-command", "stdio-commands"), "stdio-commands"),
    **dict.fromkeys(("risk", "signal-response", "signal-responses", "drift-detector", "drift-detectors"), "risk"),
    **dict.fromkeys(("event-receiver", "event-receivers", "event-stream", "event-streams"), "event-streams"),
    **dict.fromkeys(("signal-poll", "signal-polls"), "event-streams"),
    **dict.fromkeys(("change-proposal", "change-proposals"), "change-proposals"),
    **dict.fromkeys(("import", "imports"), "imports"),
    **dict.fromkeys(("key", "keys"), "keys"),
    **dict.fromkeys(("kind", "kinds", "delegation"), "agents"),
    "catalogue": "catalogue",
    "audit": "audit",
    "me": "me",
}
"""Which kind of thing an address is about, by the first words of its name; the longest that fits counts."""


def with_limits(matrix: Matrix, names: Iterable[str], reads: Iterable[str] = ()) -> Matrix:
    """Let limited roles open the changes at some addresses, each about one object, and the reads that filter by it.

    All else that a role opens is company-wide, and needs the role without a limit. Raises KeyError for an address that
    no role opens.
    """
    changes = {(name, method) for name in names for method in ("POST", "PATCH", "PUT") if (name, method) in matrix}
    opened = {*changes, *((name, "GET") for name in reads)}
    if missing := {*names} - {name for name, _method in changes}:
        raise KeyError(*sorted(missing))
    return {**matrix, **{key: replace(matrix[key], limitable=True) for key in opened}}


DECLARED: Final[dict[tuple[str, str], Row]] = {}
"""Every row of every matrix of the API: what a scope opens altogether."""


def declared(matrix: Matrix) -> Matrix:
    """Remember the rows of one floor among all there are, and return them."""
    DECLARED.update(matrix)
    return matrix


def with_finer(matrix: Matrix, kinds: Mapping[str, str] = MappingProxyType({})) -> Matrix:
    """Give each row that a scope opens the finer one, after the kind of thing its address is about.

    An address of no kind has none, which a test complains about: name its kind beside the matrix.
    """
    return {key: replace(row, finer=_finer(key[0], row.scope, {**_KINDS, **kinds})) for key, row in matrix.items()}


def _finer(name: str, scope: str, kinds: Mapping[str, str]) -> str:
    if not scope:
        return ""
    words = name.split("-")
    for count in range(len(words), 0, -1):
        if (kind := kinds.get("-".join(words[:count]))) is not None:
            return f"{scope.partition(':')[0]}:{kind}:{scope.rpartition(':')[2]}"
    return ""


READABLE: Final = Row(anybody=True, scope=READ)
PUBLIC: Final = Row(public=True)
_CATALOGUE: Final = row(Role.ANALYST, related="system_owner", scope=WRITE)
_TWO: Final = ("trusted-issuer", "stdio-command", "signal-response")  # two people agree on each
_STOPS: Final = (Role.ANALYST, Role.SECURITY, Role.RESPONDER)
_PEOPLE: Final = row(Role.ADMIN, Role.ANALYST, scope=WRITE)
_RECORD: Final = (Role.ANALYST, Role.SECURITY, Role.AUDITOR)
_STOP_SYSTEM: Final = row(*_STOPS, related="system_owner", scope=REVOKE)
_STOP_AGENT: Final = row(*_STOPS, related="sponsor owner", scope=REVOKE)
_RETIRE_AGENT: Final = row(Role.ANALYST, related="sponsor")
_STOP_GRANT: Final = row(*_STOPS, related="sponsor owner system_owner", scope=REVOKE)
_RESPONSIBLE: Final = "sponsor owner backup"
_LISTED: Final = ("session", "token", "client", "connection", "connected-account", "grant", "tool", "entitlement")
_START_SYSTEM: Final = row(Role.ANALYST, Role.SECURITY, scope=WRITE)

_ROWS: Final[Matrix] = {
    ("api-schema", "GET"): PUBLIC,
    ("api-docs", "GET"): PUBLIC,
    ("me", "GET"): READABLE,
    ("agents", "GET"): READABLE,
    ("agents", "POST"): row(Role.ANALYST, scope=WRITE),
    ("agent", "GET"): READABLE,
    ("agent", "PATCH"): row(Role.ANALYST, related="owner", scope=WRITE),
    ("agent-activate", "POST"): row(related="sponsor"),
    ("agent-criticality", "PUT"): row(Role.ANALYST, Role.SECURITY, scope=WRITE),
    ("agent-versions", "GET"): READABLE,
    ("agent-versions", "POST"): row(Role.ANALYST, related="owner itself", scope=WRITE),
    ("agent-delegates", "GET"): READABLE,
    ("agent-delegates", "POST"): row(Role.ANALYST, related="sponsor owner", scope=WRITE),
    ("delegation-withdraw", "POST"): _STOP_AGENT,
    ("agent-suspend", "POST"): _STOP_AGENT,
    ("agents-suspend", "POST"): _STOP_AGENT,
    ("agent-restore", "POST"): row(Role.ANALYST, Role.SECURITY, scope=WRITE),
    ("agent-retire", "POST"): _RETIRE_AGENT,
    ("agents-retire", "POST"): _RETIRE_AGENT,
    ("kinds-of-agents", "GET"): READABLE,
    ("kind-of-agents", "PUT"): row(Role.ADMIN, Role.SECURITY, proven=ALWAYS),
    ("people", "GET"): READABLE,
    ("people", "POST"): _PEOPLE,
    ("person", "GET"): READABLE,
    ("person", "PATCH"): _PEOPLE,
    ("person-role-give", "POST"): row(Role.ADMIN, Role.ANALYST, proven=ALWAYS),
    ("person-role-take", "POST"): row(Role.ADMIN, Role.ANALYST, proven=ALWAYS),
    ("person-disable", "POST"): row(Role.ADMIN, *_STOPS, scope=REVOKE),
    ("person-enable", "POST"): _PEOPLE,
    ("person-erase", "POST"): row(Role.ADMIN, Role.ANALYST, proven=ALWAYS),
    ("groups", "GET"): READABLE,
    ("groups", "POST"): _PEOPLE,
    ("group", "GET"): READABLE,
    ("group-join", "POST"): _PEOPLE,
    ("group-leave", "POST"): _PEOPLE,
    ("systems", "GET"): READABLE,
    ("systems", "POST"): row(Role.ANALYST, scope=WRITE),
    ("system", "GET"): READABLE,
    ("system", "PATCH"): row(Role.ANALYST, related="system_owner", scope=WRITE, proven=ALWAYS),
    **dict.fromkeys(
        ((f"system-{act}", "POST") for act in ("discover", "test", "declare-tools", "operations")), _CATALOGUE
    ),
    ("system-disable", "POST"): _STOP_SYSTEM,
    ("system-enable", "POST"): _START_SYSTEM,
    ("system-vendor", "PATCH"): row(Role.ANALYST, related="system_owner", scope=WRITE, proven=ALWAYS),
    ("system-client-id", "PUT"): row(Role.ANALYST, related="system_owner", scope=WRITE, proven=ALWAYS),
    ("system-subject", "PUT"): row(Role.ANALYST, related="system_owner", scope=WRITE, proven=ALWAYS),
    ("system-test-client", "PUT"): row(Role.ADMIN, related="system_owner", proven=ALWAYS),
    ("system-test-trust", "POST"): row(Role.ANALYST, related="system_owner"),
    ("openapi-preview", "POST"): row(Role.ANALYST, scope=WRITE),
    ("system-openapi", "GET"): READABLE,
    ("system-openapi", "PUT"): _CATALOGUE,
    ("system-policy-domain", "GET"): row(*_RECORD, Role.ADMIN, related="system_owner", scope=READ),
    ("system-policy-domain", "PUT"): row(Role.ADMIN, related="system_owner", proven=ALWAYS),
    ("imports", "POST"): row(Role.ANALYST, scope=WRITE),
    ("import", "GET"): READABLE,
    ("import-confirm", "POST"): row(Role.ANALYST, scope=WRITE),
    ("catalogue-plan", "POST"): _CATALOGUE,
    # Each step is asked the row of its own act as well (plans.py).
    ("catalogue-apply", "POST"): replace(_CATALOGUE, proven=ALWAYS),
    ("system-secret", "PUT"): row(Role.ADMIN, related="system_owner", proven=ALWAYS),
    ("system-client-certificate", "PUT"): row(Role.ADMIN, related="system_owner", proven=ALWAYS),
    ("system-client-certificate-forget", "POST"): row(Role.ADMIN, *_STOPS, related="system_owner"),
    **{(name, "GET"): READABLE for name in ("system-networks", "system-network", "connectors", "connector")},
    ("connector-enrol", "POST"): PUBLIC,  # its one-time code is the credential
    ("connector-revoke", "POST"): row(Role.ADMIN, *_STOPS, related="system_owner", scope=REVOKE),
    ("system-connector-add", "POST"): row(Role.ADMIN, Role.ANALYST, proven=ALWAYS),
    ("system-network-propose", "POST"): row(Role.ADMIN, Role.ANALYST, related="system_owner", proven=ALWAYS),
    ("system-network-confirm", "POST"): row(Role.ADMIN, Role.SECURITY, proven=ALWAYS),
    ("system-network-withdraw", "POST"): row(Role.ADMIN, Role.ANALYST, Role.SECURITY, related="system_owner"),
    ("system-network-end", "POST"): row(Role.ADMIN, *_STOPS, related="system_owner"),
    **{(f"change-proposal{s}", "GET"): READABLE for s in ("", "s")},
    ("change-proposal-confirm", "POST"): row(Role.ADMIN, Role.SECURITY, proven=ALWAYS),
    ("change-proposal-withdraw", "POST"): row(Role.ADMIN, Role.ANALYST, Role.SECURITY),
    ("tools-approve", "POST"): _CATALOGUE,
    ("tools-disable", "POST"): _STOP_SYSTEM,
    ("tool-approve", "POST"): _CATALOGUE,
    ("tool-disable", "POST"): _STOP_SYSTEM,
    ("tool-enable", "POST"): _START_SYSTEM,
    ("tool-quarantine", "POST"): _STOP_SYSTEM,
    ("entitlements", "POST"): _CATALOGUE,
    ("entitlement", "PATCH"): _CATALOGUE,
    ("grant-revoke", "POST"): _STOP_GRANT,
    ("grants-revoke", "POST"): _STOP_GRANT,
    ("grant-suspend", "POST"): _STOP_GRANT,
    ("grant-restore", "POST"): row(Role.ANALYST, Role.SECURITY, scope=WRITE),
    **{(f"{of}{s}", "GET"): READABLE for of in _LISTED for s in ("", "s")},
    ("session-end", "POST"): row(*_STOPS, related="sponsor owner person", scope=REVOKE),
    ("token-revoke", "POST"): row(*_STOPS, related="sponsor owner person system_owner", scope=REVOKE),
    ("token-families", "GET"): READABLE,
    ("token-family", "GET"): READABLE,
    ("token-family-revoke", "POST"): row(*_STOPS, related="sponsor owner person system_owner", scope=REVOKE),
    ("connection-end", "POST"): row(*_STOPS, related="sponsor owner person", scope=REVOKE),
    ("connected-account-end", "POST"): row(*_STOPS, related="person system_owner", scope=REVOKE),
    ("clients", "POST"): replace(
        row(Role.ANALYST, related=_RESPONSIBLE, scope=WRITE, proven=ALWAYS), shut_to_agents=True
    ),
    ("client-disable", "POST"): row(*_STOPS, related="sponsor owner", scope=REVOKE),
    ("client-enable", "POST"): row(Role.ANALYST, scope=WRITE),
    ("client-secret", "POST"): row(Role.ANALYST, related=_RESPONSIBLE, scope=WRITE, proven=ALWAYS),
    ("client-keys", "POST"): row(Role.ANALYST, related=_RESPONSIBLE, scope=WRITE, proven=ALWAYS),
    ("client-rotation-revoke", "POST"): row(*_STOPS, related=_RESPONSIBLE, scope=REVOKE),
    **{(f"client-{name}{s}", "GET"): READABLE for name in ("credential", "document", "host") for s in ("", "s")},
    ("client-credential-accept", "POST"): row(related=_RESPONSIBLE, proven=ALWAYS),
    ("client-credential-refuse", "POST"): row(Role.ANALYST, Role.SECURITY, related=_RESPONSIBLE),
    **dict.fromkeys((("workload-rules", "GET"), ("workload-rule", "GET")), READABLE),
    ("workload-rules", "POST"): replace(
        row(Role.ANALYST, related=_RESPONSIBLE, scope=WRITE, proven=ALWAYS), shut_to_agents=True
    ),
    ("workload-rule-end", "POST"): row(*_STOPS, related="sponsor owner", scope=REVOKE),
    ("client-hosts", "POST"): row(Role.ADMIN, Role.ANALYST, Role.SECURITY, proven=ALWAYS),
    ("client-host-confirm", "POST"): row(related=f"{_RESPONSIBLE} confirmer", proven=ALWAYS),
    ("client-host-withdraw", "POST"): row(Role.ADMIN, Role.ANALYST, Role.SECURITY),
    ("client-host-end", "POST"): row(Role.ADMIN, Role.ANALYST, Role.SECURITY, related=_RESPONSIBLE),
    **{(f"client-document{act}", "POST"): row(Role.ANALYST, proven=ALWAYS) for act in ("s", "-approve")},
    ("client-document-refuse", "POST"): row(Role.ANALYST, Role.SECURITY),
    **{(f"{of}{s}", "GET"): row(*_RECORD, Role.ADMIN, Role.RESPONDER, scope=READ) for of in _TWO for s in ("", "s")},
    **{(f"{of}s", "POST"): row(Role.ADMIN, Role.ANALYST, Role.SECURITY, proven=ALWAYS) for of in _TWO},
    **{(f"{of}-confirm", "POST"): row(Role.ADMIN, Role.SECURITY, proven=ALWAYS) for of in _TWO},
    **{(f"{of}-withdraw", "POST"): row(Role.ADMIN, Role.ANALYST, Role.SECURITY) for of in _TWO},
    **{(f"{of}-end", "POST"): row(Role.ADMIN, *_STOPS) for of in _TWO[:2]},
    **{
        (of, "GET"): row(*_RECORD, Role.ADMIN, Role.RESPONDER, scope=READ)
        for of in ("risk", "risk-signal", "drift-detector", "drift-detectors")
    },
    ("risk-confirm", "POST"): row(*_STOPS, proven=ALWAYS),
    **{
        (f"risk-{name}", "POST"): row(Role.ANALYST, Role.SECURITY, proven=ALWAYS)
        for name in ("confirm-safe", "dismiss")
    },
    **{
        (f"{of}{s}", "GET"): row(*_RECORD, Role.ADMIN, Role.RESPONDER, scope=READ)
        for of in ("event-receiver", "event-stream", "signal-poll")
        for s in ("", "s")
    },
    **{(name, "POST"): row(Role.ADMIN, proven=ALWAYS) for name in ("event-receivers", "signal-polls")},
    **{(f"{of}-end", "POST"): row(Role.ADMIN, *_STOPS) for of in ("event-receiver", "signal-poll")},
    ("event-stream-status", "POST"): row(Role.ADMIN, Role.SECURITY, proven=ALWAYS),
    ("event-stream-delete", "POST"): row(Role.ADMIN, *_STOPS),
    # The targets differ; each is asked the row of its own stop (revocations.py).
    ("revocations", "GET"): row(*_RECORD, Role.RESPONDER, scope=READ),
    ("revocations", "POST"): Row(anybody=True, scope=REVOKE),
    ("revocation", "GET"): READABLE,
    ("revocation-effect", "GET"): READABLE,
    ("revocation-prove", "POST"): row(*_STOPS, Role.RESPONDER, scope=REVOKE),
    ("drills", "GET"): row(*_RECORD, Role.RESPONDER, scope=READ),
    ("drills", "POST"): Row(anybody=True, scope=REVOKE),
    ("drill", "GET"): READABLE,
    ("revocations-everything-restore", "POST"): row(Role.ANALYST, Role.SECURITY, proven=ALWAYS),
    ("audit-events", "GET"): READABLE,
    ("audit-checkpoint", "GET"): row(*_RECORD, Role.ADMIN, scope=READ),
    ("audit-export", "GET"): row(*_RECORD, scope=READ),
    ("audit-proof", "GET"): row(*_RECORD, scope=READ),
    ("keys", "GET"): READABLE,
    ("key-rotate", "POST"): row(Role.ADMIN, proven=ALWAYS),
    ("key-withdraw", "POST"): row(Role.ADMIN, Role.SECURITY, proven=ALWAYS),
}
_LIMITABLE: Final = (
    *("agent", "agent-criticality", "agent-versions", "agent-delegates", "delegation-withdraw"),
    *("agent-suspend", "agents-suspend", "agent-restore", "agent-retire", "agents-retire"),
    *("person", "person-disable", "person-enable"),
    *("system", "system-discover", "system-disable", "system-enable", "system-test", "system-declare-tools"),
    *("system-vendor", "system-client-id", "system-subject", "system-test-client", "system-test-trust"),
    "system-secret",
    *("tools-approve", "tools-disable", "tool-approve", "tool-disable", "tool-enable", "tool-quarantine"),
    *("entitlements", "entitlement", "grant-revoke", "grants-revoke", "grant-suspend", "grant-restore"),
    *("session-end", "token-revoke", "token-family-revoke", "connection-end"),
    *("clients", "client-disable", "client-enable", "client-secret", "client-keys", "client-rotation-revoke"),
    *("client-credential-refuse", "workload-rules", "workload-rule-end"),
)
MATRIX: Final[Matrix] = declared(with_finer(with_limits(_ROWS, _LIMITABLE, reads=["drills", "revocations"])))
