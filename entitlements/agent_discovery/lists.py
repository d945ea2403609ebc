"""The lists that each kind of source has, by its vendor's documented API, and how its credential opens them.

Okta: AI agents (https://developer.okta.com/docs/api/secures-ai/openapi/secures-ai-workload-principals/) and
applications (https://developer.okta.com/docs/api/openapi/okta-management/management/tag/Application/), with an API
token (SSWS) or OAuth for Okta by a service app's private key
(https://developer.okta.com/docs/guides/implement-oauth-for-okta-serviceapp/main/).
Entra: agent identities (https://learn.microsoft.com/graph/api/agentidentity-list) and service principals
(https://learn.microsoft.com/graph/api/serviceprincipal-list), by client credentials
(https://learn.microsoft.com/entra/identity-platform/v2-oauth2-client-creds-grant-flow).
Fleet: a report of an osquery query (https://fleetdm.com/docs/rest-api/rest-api#get-query-report), with an API token.
"""

from __future__ import annotations

import json
import uuid
from http import HTTPStatus
from typing import Any, Final
from urllib.parse import quote

from django.conf import settings
from joserfc import jwk
from joserfc.errors import JoseError

from audit import clock
from entitlements import strict
from entitlements.agent_discovery.models import DiscoverySource
from entitlements.errors import DomainError
from entitlements.keys import jws, public_keys
from entitlements.upstream.egress import Answer

from . import problems, shapes
from .pull import ListSpec, Pull, next_link

AGENTS, APPLICATIONS, DEVICES = "agents", "applications", "devices"
_Kind, _Reads = DiscoverySource.Kind, DiscoverySource.Reads
_ASSERTION: Final = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"
_PRIVATE: Final = frozenset({"d", "p", "q", "dp", "dq", "qi", "oth"})
_SCOPES: Final = {AGENTS: "okta.aiAgents.read", APPLICATIONS: "okta.apps.read"}
_SELECT: Final = (
    "id,appId,displayName,servicePrincipalType,accountEnabled,appOwnerOrganizationId,preferredSingleSignOnMode"
)


class BadPrivateKey(DomainError):
    """The credential is not a private key as JWK, with the name (kid) that its public half has at Okta."""

    code, status = "discovery_bad_private_key", HTTPStatus.UNPROCESSABLE_ENTITY


def base_of(source: DiscoverySource) -> str:
    """Return the address below which all lists of a source stand."""
    return str(settings.TEAMS.graph) if source.kind == _Kind.ENTRA else source.address


def names(source: DiscoverySource) -> list[str]:
    """Return the names of the lists that are read of a source."""
    if source.kind == _Kind.FLEET:
        return [DEVICES]
    return {_Reads.AGENTS: [AGENTS], _Reads.APPLICATIONS: [APPLICATIONS]}.get(
        _Reads(source.reads), [AGENTS, APPLICATIONS]
    )


def specs(source: DiscoverySource) -> list[ListSpec]:
    """Return the lists that are read of a source."""
    base = base_of(source)
    return [_spec(source, base, name) for name in names(source)]


def _spec(source: DiscoverySource, base: str, name: str) -> ListSpec:
    if source.kind == _Kind.FLEET:
        url = f"{base}/api/v1/fleet/queries/{source.report}/report"
        return ListSpec(name, url, _of("results"), lambda _answer, _body: "", shapes.device_client, _is_clipped)
    if source.kind == _Kind.OKTA and name == AGENTS:
        url = f"{base}/workload-principals/api/v1/ai-agents?limit=200"
        return ListSpec(name, url, _of("data"), next_link, shapes.okta_agent)
    if source.kind == _Kind.OKTA:
        url = f"{base}/api/v1/apps?limit=200&filter={quote('status eq "ACTIVE"', safe='')}"
        return ListSpec(
            name, url, lambda body: body if isinstance(body, list) else None, next_link, shapes.okta_application
        )
    if name == AGENTS:
        url = f"{base}/v1.0/servicePrincipals/microsoft.graph.agentIdentity?$expand=sponsors"
        return ListSpec(name, url, _of("value"), _odata_next, shapes.entra_agent)
    url = f"{base}/v1.0/servicePrincipals?$select={_SELECT}&$expand=owners"
    return ListSpec(name, url, _of("value"), _odata_next, shapes.entra_application)


def _of(member: str) -> Any:  # noqa: ANN401 - a function
    """Return what finds the rows of a page in one member of it; None where it is no list."""

    def rows(body: object) -> list[Any] | None:
        held = body.get(member) if isinstance(body, dict) else None
        return held if isinstance(held, list) else None

    return rows


def _odata_next(_answer: Answer, body: object) -> str:
    """Return the whole address of the next page (https://learn.microsoft.com/graph/paging); empty for none."""
    return shapes.text(body, "@odata.nextLink")


def _is_clipped(body: object) -> bool:
    return isinstance(body, dict) and body.get("report_clipped") is True


def open_with(pull: Pull, source: DiscoverySource, secret: str) -> None:
    """Give a pull the header that opens the source. Raises PullProblem, and BadPrivateKey."""
    if source.kind == _Kind.ENTRA:
        url = f"{settings.TEAMS.login}/{quote(source.tenant, safe='')}/oauth2/v2.0/token"
        scope = f"{settings.TEAMS.graph}/.default"
        form = {"client_id": source.client_id, "client_secret": secret, "scope": scope}
        header = f"Bearer {pull.token(url, {'grant_type': 'client_credentials', **form})}"
    elif source.kind == _Kind.OKTA and source.client_id:
        url = f"{source.address}/oauth2/v1/token"
        form = {"client_assertion_type": _ASSERTION, "client_assertion": _assertion(source.client_id, url, secret)}
        scope = " ".join(_SCOPES[name] for name in names(source))
        header = f"Bearer {pull.token(url, {'grant_type': 'client_credentials', 'scope': scope, **form})}"
    else:
        header = f"{'SSWS' if source.kind == _Kind.OKTA else 'Bearer'} {secret}"
    pull.headers["Authorization"] = header


def private_key(text: str) -> jws.Key:
    """Read a private JWK with its name and algorithm. Raises BadPrivateKey."""
    try:
        key = strict.loads(text.encode(), largest=16 * 1024)
        if not isinstance(key, dict) or "d" not in key:
            raise BadPrivateKey
        public = public_keys.read({name: value for name, value in key.items() if name not in {*_PRIVATE, "key_ops"}})
        return jws.Key(public.kid, public.algorithm, jwk.import_key(json.loads(text)))
    except (strict.NotStrictJson, public_keys.BadKey, JoseError, ValueError, TypeError, KeyError) as why:
        raise BadPrivateKey from why


def _assertion(client_id: str, audience: str, secret: str) -> str:
    """Sign a client assertion (RFC 7523) for five minutes, as Okta takes it. Raises CredentialBroken."""
    now = int(clock.now().timestamp())
    claims = {"iss": client_id, "sub": client_id, "aud": audience, "iat": now, "exp": now + 300}
    try:
        return jws.sign({**claims, "jti": str(uuid.uuid4())}, private_key(secret), "JWT")
    except BadPrivateKey as why:
        raise problems.CredentialBroken from why
