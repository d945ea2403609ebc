"""The public addresses of issuers and resources. They come from settings and slugs, never from a Host header."""

from __future__ import annotations

from typing import Final
from urllib.parse import SplitResult, urlencode, urlsplit

from django.conf import settings

from entitlements.catalog.models import System
from entitlements.words import ALL_SYSTEMS

IDP: Final = "idp"
SIGNALS: Final = "ssf"
"""The issuer of our security events, with keys of its own."""
MANDATE: Final = "mandate"
"""The built-in system whose resources are our own API and decision point."""
ALL: Final = ALL_SYSTEMS
"""The built-in system whose resource is the one address for the tools of all systems, and whose issuer is its own."""
CONNECTED_ACCOUNTS: Final = "/connected-accounts/"
"""What the paths of the console's pages begin with on which a person connects an account at a system."""
RESERVED: Final = frozenset({MANDATE, ALL})
"""Names that no system of the company can have; so says the database too."""


def issuer(path: str) -> str:
    """Return the issuer identifier of an issuer path (`idp`, `as/<slug>`); it is compared byte by byte (RFC 8414)."""
    return f"{settings.CONSOLE_URL}/{path}"


def endpoints(path: str) -> str:
    """Return where the machine endpoints of an issuer are: on the edge, under the issuer's own path."""
    return f"{settings.EDGE_URL}/{path}"


def issuer_path(system_slug: str) -> str:
    """Return the issuer path of a system's resource authorization server."""
    return f"as/{system_slug}"


def signals_endpoint() -> str:
    """Return where security events are pushed to, which is the audience of those that are for us."""
    return f"{settings.EDGE_URL}/ssf/events"


def sign_in_page(system_slug: str) -> str:
    """Return where the page of `/as/<slug>/authorize` stands a second time, outside `/as`.

    A proxy without patterns sends all of `/as` to the edge, which has no pages and leads browsers there.
    """
    return f"{settings.CONSOLE_URL}/authorize/{system_slug}"


def resources(system: System) -> tuple[str, ...]:
    """Return the resource identifiers (RFC 8707) that a system's tokens may be bound to, the usual one first."""
    return resources_of(system.slug, system.kind, system.upstream_url)


def resources_of(slug: str, kind: str, upstream_url: str) -> tuple[str, ...]:
    """Do as `resources` with what it looks at."""
    match kind:
        case System.Kind.BUILTIN if slug == ALL:
            return (f"{settings.GATEWAY_URL}/gw/mcp",)
        case System.Kind.BUILTIN:
            return (f"{settings.CONSOLE_URL}/api/v1", f"{settings.GATEWAY_URL}/access/v1")
        case System.Kind.MCP:
            return (upstream_url,)
        case System.Kind.HTTP:
            return (f"{settings.GATEWAY_URL}/gw/{slug}/mcp", f"{settings.GATEWAY_URL}/gw/{slug}/http")
        case _:
            return (f"{settings.GATEWAY_URL}/gw/{slug}/mcp",)


def request_access(agent: str, system: str, tool: str = "", denied_call: str = "", kept: str = "") -> str:
    """Return the console address where access that is missing can be asked for, after which denied call if any.

    It names things by their identifiers alone: values of arguments stand in an address sealed (`kept`), or not at all.
    At all systems at once the person chooses the system.
    """
    named = {
        "agent": agent,
        "system": "" if system == ALL else system,
        "tool": tool,
        "denied_call": denied_call,
        "kept": kept,
    }
    optional = ("tool", "denied_call", "kept", *(("system",) if system == ALL else ()))
    query = urlencode({name: value for name, value in named.items() if value or name not in optional})
    return f"{settings.CONSOLE_URL}/requests/new/?{query}"


def why(evaluation: str) -> str:
    """Return the console address that explains a decision."""
    return f"{settings.CONSOLE_URL}/decisions/why/?{urlencode({'evaluation': evaluation})}"


def connect_account(system: str) -> str:
    """Return the console address at which a person connects their account at a system, or says who may use it."""
    return f"{settings.CONSOLE_URL}{CONNECTED_ACCOUNTS}{system}/"


def metadata_of(issuer: str) -> tuple[str, str]:
    """Return where the metadata of a foreign issuer may be: appended (OpenID Connect), and inserted (RFC 8414 3.1)."""
    split = urlsplit(issuer)
    appended = f"{issuer.rstrip('/')}/.well-known/openid-configuration"
    inserted = f"{split.scheme}://{split.netloc}/.well-known/oauth-authorization-server{split.path.rstrip('/')}"
    return appended, inserted


def parts(text: str) -> SplitResult | None:
    """Take an address apart; None for one that has no parts: a bracket that stays open, a port that is no port."""
    try:
        split = urlsplit(text)
        _ = split.hostname, split.port  # both are read only when they are asked for
    except ValueError:
        return None
    return split
