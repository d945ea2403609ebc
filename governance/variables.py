"""Every environment variable that the product reads, with its meaning and what holds when it is not set."""

from collections.abc import Mapping
from dataclasses import KW_ONLY, dataclass


@dataclass(frozen=True)
class Variable:
    """One row of the table: a name, what it means, and what holds when it is not set (None: it must be)."""

    name: str
    meaning: str
    default: str | None = None
    _: KW_ONLY
    is_secret: bool = False


TABLE: Mapping[str, Variable] = {
    row.name: row
    for row in (
        Variable(
            "SECRET_KEY",
            "Signs sessions, CSRF tokens and known devices, and nothing else. At least 50 characters.",
            is_secret=True,
        ),
        Variable(
            "KEY_ENCRYPTION_KEY",
            "Encrypts signing keys, upstream secrets and personal data at rest: 32 bytes in base64url. "
            "Back it up apart from the database; a database backup is useless without it.",
            is_secret=True,
        ),
        Variable(
            "KEY_ENCRYPTION_KEY_PREVIOUS",
            "Another key-encryption key that is still read, while `manage.py reseal` replaces it; then empty again.",
            "",
            is_secret=True,
        ),
        Variable(
            "SIGNING_KEY_ENCRYPTION_KEY",
            "Encrypts signing keys instead of `KEY_ENCRYPTION_KEY`, which an edge node with the role `issuer` alone "
            "then does without. For every process but edge nodes with the role `gateway` alone.",
            "",
            is_secret=True,
        ),
        Variable(
            "SIGNING_KEY_ENCRYPTION_KEY_PREVIOUS",
            "What `KEY_ENCRYPTION_KEY_PREVIOUS` is to `KEY_ENCRYPTION_KEY`.",
            "",
            is_secret=True,
        ),
        Variable(
            "SIGNER",
            "Where the next signing key is made: `database` (sealed under a key-encryption key), `transit` (OpenBao or "
            "Vault) or `pkcs11` (a hardware security module). Keys that are there stay with the signer that made them.",
            "database",
        ),
        Variable("TRANSIT_URL", "Address of OpenBao or Vault: `https://bao.example:8200`. For SIGNER `transit`.", ""),
        Variable("TRANSIT_MOUNT", "Where its transit engine is mounted.", "transit"),
        Variable("TRANSIT_NAMESPACE", "The namespace in which that is, if any.", ""),
        Variable("TRANSIT_CA_FILE", "PEM file with its root certificates, where they are not the system's.", ""),
        Variable(
            "TRANSIT_TOKEN",
            "The token with which it lets us in. As TRANSIT_TOKEN_FILE it is read anew when it is refused. For edge "
            "nodes with the role `issuer`, `web` and `worker`.",
            "",
            is_secret=True,
        ),
        Variable("PKCS11_MODULE", "Path of the library of the security module's maker. For SIGNER `pkcs11`.", ""),
        Variable("PKCS11_LABEL", "The label of the token there.", ""),
        Variable("PKCS11_PIN", "The PIN of the token's user.", "", is_secret=True),
        Variable(
            "DATABASE_URL",
            "PostgreSQL as the role that serves: `postgresql://mandate_app:...`. An edge node with the role `issuer` "
            "alone does not read it where it has ISSUE_DATABASE_URL. Each database address may name several hosts, "
            "`@one:5432,two:5432/mandate`: the one that takes writes is used.",
            is_secret=True,
        ),
        Variable(
            "FEED_DATABASE_URL",
            "The same database and role without a pooler, for the edge's change feed, the worker's loop and the "
            "sealer's lock alone; else the address by which the node reads, and the sealer's own connection.",
            "",
            is_secret=True,
        ),
        Variable(
            "ISSUE_DATABASE_URL",
            "The same database as the issuers' role, for the edge's issuers alone; else `DATABASE_URL`. A node with "
            "the role `issuer` alone also reads by it.",
            "",
            is_secret=True,
        ),
        Variable(
            "MIGRATE_DATABASE_URL",
            "PostgreSQL as the owner, without a pooler; only `migrate` needs it.",
            "",
            is_secret=True,
        ),
        Variable(
            "SEAL_DATABASE_URL",
            "PostgreSQL as the sealer's role; only `manage.py seal` needs it.",
            "",
            is_secret=True,
        ),
        Variable(
            "DATABASE_FAILOVER",
            "Whether another server may take the primary's place: `auto` (it may while a standby replicates from it), "
            "`yes`, or `no` (what replicates is never promoted). Where it may, commits must be synchronous to start.",
            "auto",
        ),
        Variable("REDIS_URL", "Redis or Valkey: task queue and rate limits, never authority.", is_secret=True),
        Variable("CONSOLE_URL", "Public address of the console, the API and the issuers.", "http://localhost:8000"),
        Variable("GATEWAY_URL", "Public address of the gateway.", "http://localhost:8001"),
        Variable(
            "EDGE_URL",
            "Public address at which the issuers' machine endpoints are advertised, where it is not CONSOLE_URL. Some "
            "clients, the official MCP client among them, take them on the issuer's own origin alone.",
            "",
        ),
        Variable(
            "RELAY_URL",
            "Where the web process reaches the edge, for machine requests that come to CONSOLE_URL; else GATEWAY_URL.",
            "",
        ),
        Variable("ALLOWED_HOSTS", "Host names to answer to, separated by commas; else the one of CONSOLE_URL.", ""),
        Variable(
            "BEHIND_TLS_PROXY",
            "Whether a proxy ends TLS and *sets* `X-Forwarded-Proto`, dropping a client's own.",
            "false",
        ),
        Variable(
            "TRUSTED_PROXIES",
            "Addresses or networks of your proxies, separated by commas. `X-Forwarded-For` is read from them alone, "
            "from the right and past those named here; empty: from none.",
            "",
        ),
        Variable(
            "MCP_REGISTRY_READERS",
            "Networks, separated by commas, whose programs may read the MCP registry at `/v0.1/servers` without a "
            "credential: the names and addresses of the systems that are served. Empty: none; `0.0.0.0/0,::/0`: all.",
            "",
        ),
        Variable("ANCHOR_FILE", "Append-only file, kept elsewhere, that receives each signed checkpoint.", ""),
        Variable("ANCHOR_BUCKET_URL", "A bucket, by the protocol of S3, that receives them too. For the sealer.", ""),
        Variable("ANCHOR_BUCKET_REGION", "Its region.", "us-east-1"),
        Variable("ANCHOR_BUCKET_ACCESS_ID", "The access key that may list, read and write there.", ""),
        Variable("ANCHOR_BUCKET_SECRET", "The secret of that key.", "", is_secret=True),
        Variable("ANCHOR_WEBHOOK_URL", "An address to which the sealer posts each of them too.", ""),
        Variable("ANCHOR_WEBHOOK_TOKEN", "What it is sent as its bearer token, if any.", "", is_secret=True),
        Variable(
            "SEAL_KEY_FILE", "PEM file with the sealer's Ed25519 private key; only `manage.py seal` needs it.", ""
        ),
        Variable(
            "ALIVE_FILE",
            "File that sealer, worker and beat touch while they work; `governance.probe` reads its age.",
            "",
        ),
        Variable(
            "SLACK_API_URL",
            "Address of Slack's Web API: with GovSlack `https://slack-gov.com/api/`.",
            "https://slack.com/api/",
        ),
        Variable(
            "TEAMS_CLOUD",
            "The Microsoft cloud of Teams: `public`, or of the US government `gcc`, `gcc-high` or `dod`.",
            "public",
        ),
        Variable("TIME_STAMP_URL", "Time-stamping authority (RFC 3161) that stamps each evidence pack, if any.", ""),
        Variable("TIME_STAMP_CA_FILE", "PEM file with the root certificates of TIME_STAMP_URL, which needs it.", ""),
        Variable(
            "DEMO", "Whether upstreams and issuers on loopback, and http, are allowed. Never in production.", "false"
        ),
        Variable("DEBUG", "Whether Django shows tracebacks in the browser. Never in production.", "false"),
        Variable("OIDC_ISSUER", "The company's sign-in: its issuer address; a trusted issuer of the same name.", ""),
        Variable("OIDC_CLIENT_ID", "Our client identifier there; needed with OIDC_ISSUER.", ""),
        Variable("OIDC_CLIENT_SECRET", "Our client secret there.", "", is_secret=True),
        Variable("OIDC_NAME", "What the button of the company's sign-in says.", "Company sign-in"),
        Variable(
            "MAIL_URL",
            "Where mail is handed in: `smtp://user:password@host:587` (STARTTLS) or `smtps://user:password@host:465`. "
            "Without it no mail is sent.",
            "",
            is_secret=True,
        ),
        Variable("MAIL_FROM", "Whom our mail comes from; needed with MAIL_URL.", ""),
        Variable(
            "PRIVATE_NETWORKS",
            "Networks that are not public and may be reached all the same, separated by commas (`10.20.0.0/16`): the "
            "company's own MCP servers and issuers. Still https alone.",
            "",
        ),
        Variable("EDGE_ROLES", "What an edge process is: `issuer`, `gateway`, or both.", "issuer,gateway"),
        Variable(
            "NODE_ADDRESS",
            "Address and port at which a node of the gateway listens for the other nodes, and at which they reach it: "
            "a pod's own. Requests for a local server travel there, to the node that has it. Port 0 takes a free one; "
            "several processes of a machine take the port and those after it. The address `self` is the one that the "
            "machine's own name leads to, as in a container.",
            "127.0.0.1:0",
        ),
        Variable("NODE_ID", "Name of this edge node in receipts; else made of host and process.", ""),
        Variable(
            "METRICS_TOKEN",
            "What Prometheus sends as `Authorization: Bearer`; without it `/metrics` is not served (but for DEMO).",
            "",
            is_secret=True,
        ),
        Variable(
            "OTEL_EXPORTER_OTLP_ENDPOINT",
            "Base address of an OpenTelemetry collector (OTLP over HTTP with protobuf) that gets spans and metrics: "
            "`http://collector:4318`. Nothing is sent while it is empty. Other standard `OTEL_*` variables are read "
            "by OpenTelemetry's library itself.",
            "",
        ),
        Variable(
            "OTEL_EXPORTER_OTLP_HEADERS",
            "What each request to it carries: `name=value`, between commas, values percent-encoded.",
            "",
            is_secret=True,
        ),
        Variable("DISCOVERY_MINUTES", "How often each system is asked for its tools; less often while it fails.", "15"),
        Variable(
            "LISTEN_TO_SYSTEMS",
            "Let one gateway node hold a connection to each MCP server, on which it says that its tools changed.",
            "1",
        ),
        Variable("DORMANT_WARN_DAYS", "After so many days without use an agent is shown as unused.", "30"),
        Variable("DORMANT_ASK_DAYS", "After so many its sponsor is asked whether it is still needed.", "45"),
        Variable("DORMANT_SUSPEND_DAYS", "After so many it is suspended, unless it was kept.", "90"),
        Variable(
            "SIGN_IN_MAX_AGE_MINUTES",
            "How old a person's sign-in may be when an ID token or an ID-JAG tells of it; then they sign in again.",
            "720",
        ),
        Variable(
            "REFRESH_REUSE_SECONDS",
            "How long a refresh token that was replaced still gets its successor, so that several processes of one "
            "client stay signed in: 0 to 1800. Later use ends the sign-in.",
            "60",
        ),
        Variable(
            "DPOP_REQUIRED",
            "Which clients get tokens only with a proof of their key (RFC 9449): `no` is none, `public` those that do "
            "not authenticate, `all` every client; then gateway and API take no bearer token of a client either, "
            "and the MCP addresses no proof without the digest of the body.",
            "no",
        ),
        Variable(
            "DYNAMIC_REGISTRATION",
            "Let clients register themselves (RFC 7591). Nothing is kept of one until a person signs in to it, and an "
            "analyst decides about it then.",
            "0",
        ),
        Variable("EPHEMERAL_AGENT_HOURS", "How long an ephemeral agent may exist at most.", "24"),
        Variable("CLIENT_HIDE_DAYS", "After so many days without use an agent's client is shown as unused.", "30"),
        Variable("CLIENT_CLOSE_DAYS", "After so many it gets no token any more, until a person starts it.", "90"),
        Variable("CLIENT_DELETE_DAYS", "After so many it is put away for good.", "180"),
        Variable("UPSTREAM_AT_ONCE", "Calls of one system that wait for it at once, at each node.", "100"),
        Variable("UPSTREAM_FAILURES", "After so many failures of a system in a row a node pauses its calls.", "10"),
        Variable("UPSTREAM_FAILURE_SECONDS", "The seconds within which those failures fall.", "30"),
        Variable("UPSTREAM_PAUSE_SECONDS", "Seconds of a pause, at least; then one call is tried.", "10"),
        Variable("RATE_LIMIT_TOKENS", "Requests of one client at the token endpoints, a minute.", "12000"),
        Variable(
            "RATE_LIMIT_PERSON",
            "Requests of one client for one person at the token endpoints, a minute; of all clients five times that.",
            "1200",
        ),
        Variable("RATE_LIMIT_API", "Requests of one caller at the API, a minute.", "3000"),
        Variable("RATE_LIMIT_PAGES", "Pages of one person in the console, a minute.", "600"),
        Variable("RATE_LIMIT_REGISTRATIONS", "Clients that register themselves from one source, a minute.", "60"),
        Variable(
            "RATE_LIMIT_SIGN_IN",
            "After so many failed sign-ins in 15 minutes, by login and by source, more wait; known devices never.",
            "30",
        ),
        Variable("LOG_LEVEL", "DEBUG, INFO, WARNING or ERROR.", "INFO"),
    )
}
