"""Rows and pages in the documented forms of Okta, Microsoft Graph and Fleet, written by hand after their references."""

from __future__ import annotations

from typing import Any

OKTA_AGENTS = "/workload-principals/api/v1/ai-agents?limit=200"
OKTA_APPS = "/api/v1/apps?limit=200&filter=status%20eq%20%22ACTIVE%22"
ENTRA_AGENTS = "/v1.0/servicePrincipals/microsoft.graph.agentIdentity?$expand=sponsors"
ENTRA_APPS = (
    "/v1.0/servicePrincipals?$select=id,appId,displayName,servicePrincipalType,accountEnabled,"
    "appOwnerOrganizationId,preferredSingleSignOnMode&$expand=owners"
)
FLEET_REPORT = "/api/v1/fleet/queries/31/report"
TENANT = "11111111-2222-3333-4444-555555555555"
ENTRA_TOKEN = f"/{TENANT}/oauth2/v2.0/token"


def okta_agent(number: int = 1, name: str = "Support agent") -> dict[str, Any]:
    """Return an AI agent, as *List all AI agents* documents it."""
    return {
        "id": f"wlp{number}",
        "status": "ACTIVE",
        "source": "MANUAL",
        "created": "2026-01-05T10:00:00.000Z",
        "lastUpdated": "2026-01-05T10:00:00.000Z",
        "profile": {"name": name, "description": "Answers tickets."},
        "_links": {"self": {"href": f"https://example.okta.com/workload-principals/api/v1/ai-agents/wlp{number}"}},
    }


def okta_app(number: int = 1, label: str = "Invoice bot", **oauth: Any) -> dict[str, Any]:  # noqa: ANN401 - as documented
    """Return an application that is an API service app, as *List all applications* documents it."""
    settings = {"application_type": "service", "grant_types": ["client_credentials"], **oauth}
    return {
        "id": f"0oa{number}",
        "name": "oidc_client",
        "label": label,
        "status": "ACTIVE",
        "signOnMode": "OPENID_CONNECT",
        "credentials": {"oauthClient": {"client_id": f"0oa{number}", "token_endpoint_auth_method": "private_key_jwt"}},
        "settings": {"oauthClient": settings},
    }


def entra_agent(number: int = 1, name: str = "HR agent", *mails: str) -> dict[str, Any]:
    """Return an agent identity with its sponsors, as *List agentIdentities* documents it."""
    return {
        "@odata.type": "#microsoft.graph.agentIdentity",
        "id": f"aaaaaaaa-0000-0000-0000-{number:012}",
        "displayName": name,
        "servicePrincipalType": "ServiceIdentity",
        "accountEnabled": True,
        "agentIdentityBlueprintId": "bbbbbbbb-0000-0000-0000-000000000001",
        "sponsors": [{"@odata.type": "#microsoft.graph.user", "id": str(n), "mail": m} for n, m in enumerate(mails)],
    }


def entra_app(number: int = 1, name: str = "Reporting", **fields: Any) -> dict[str, Any]:  # noqa: ANN401 - as documented
    """Return a service principal, as *List servicePrincipals* documents it."""
    return {
        "id": f"cccccccc-0000-0000-0000-{number:012}",
        "appId": f"dddddddd-0000-0000-0000-{number:012}",
        "displayName": name,
        "servicePrincipalType": "Application",
        "accountEnabled": True,
        "appOwnerOrganizationId": TENANT,
        "preferredSingleSignOnMode": None,
        "owners": [],
        **fields,
    }


def fleet_row(host: int = 1, client: str = "Claude Desktop", **columns: str) -> dict[str, Any]:
    """Return a row of a report, as *Get query report* documents it."""
    return {
        "host_id": host,
        "host_name": f"mac-{host}",
        "last_fetched": "2026-01-19T17:08:31Z",
        "columns": {"client": client, **columns},
    }


def fleet_report(*rows: dict[str, Any], clipped: bool = False) -> dict[str, Any]:
    """Return a report."""
    return {"query_id": 31, "report_clipped": clipped, "results": list(rows)}
