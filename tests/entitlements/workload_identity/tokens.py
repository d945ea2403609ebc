"""Claim sets as the platforms document them, with what a rule about each names."""

from __future__ import annotations

import time
import uuid
from typing import Any, Final

from entitlements.workload_identity.platforms import Platform

GITHUB: Final = "https://token.actions.githubusercontent.com"
KUBERNETES: Final = "https://kubernetes.default.svc.cluster.local"
TRUST_DOMAIN: Final = "spiffe://example.org"
OTHER: Final = "https://platform.example"
ISSUERS: Final = {
    Platform.GITHUB: GITHUB,
    Platform.KUBERNETES: KUBERNETES,
    Platform.SPIFFE: TRUST_DOMAIN,
    Platform.JWT: OTHER,
}
RULES: Final[dict[Platform, dict[str, str]]] = {
    Platform.GITHUB: {"repository_owner_id": "65", "repository_id": "74", "ref": "refs/heads/main"},
    Platform.KUBERNETES: {"sub": "system:serviceaccount:my-namespace:my-serviceaccount"},
    Platform.SPIFFE: {"sub": "spiffe://example.org/ns/default/sa/customer-router-agent"},
    Platform.JWT: {"sub": "job-7"},
}


def claims(platform: Platform, audience: str, **changed: Any) -> dict[str, Any]:  # noqa: ANN401 - any JSON
    """Return what a token of the platform holds; None takes a claim out."""
    now = int(time.time())
    said = {**_MADE[platform](audience, now), **changed}
    return {name: value for name, value in said.items() if value is not None}


def _github(audience: str, now: int) -> dict[str, Any]:
    """docs.github.com, "OpenID Connect reference", the example of a token."""
    return {
        "jti": str(uuid.uuid4()),
        "sub": "repo:octo-org/octo-repo:ref:refs/heads/main",
        "aud": audience,
        "ref": "refs/heads/main",
        "sha": "0f661a4a011d77cb21fa4dc7013d9b6f928666ed",
        "repository": "octo-org/octo-repo",
        "repository_owner": "octo-org",
        "actor_id": "12",
        "repository_visibility": "private",
        "repository_id": "74",
        "repository_owner_id": "65",
        "run_id": "14144996512",
        "run_number": "10",
        "run_attempt": "2",
        "runner_environment": "github-hosted",
        "actor": "octocat",
        "workflow": "example-workflow",
        "head_ref": "",
        "base_ref": "",
        "event_name": "workflow_dispatch",
        "ref_type": "branch",
        "ref_protected": "true",
        "job_workflow_ref": "octo-org/octo-automation/.github/workflows/oidc.yml@refs/heads/main",
        "workflow_ref": "octo-org/octo-repo/.github/workflows/agent.yml@refs/heads/main",
        "iss": GITHUB,
        "nbf": now - 300,
        "exp": now + 300,
        "iat": now,
    }


def _kubernetes(audience: str, now: int) -> dict[str, Any]:
    """kubernetes.io, "Managing Service Accounts", the schema of the claims of a bound token."""
    return {
        "aud": [audience],
        "exp": now + 3607,
        "iat": now,
        "iss": KUBERNETES,
        "jti": str(uuid.uuid4()),
        "kubernetes.io": {
            "namespace": "my-namespace",
            "node": {"name": "my-node", "uid": "646e7c5e-32d6-4d42-9dbd-e504e6cbe6b1"},
            "pod": {"name": "my-pod", "uid": "5e0bd49b-f040-43b0-99b7-22765a53f7f3"},
            "serviceaccount": {"name": "my-serviceaccount", "uid": "14ee3fa4-a7e2-420f-9f9a-dbc4507c3798"},
            "warnafter": now + 3000,
        },
        "nbf": now,
        "sub": "system:serviceaccount:my-namespace:my-serviceaccount",
    }


def _spiffe(audience: str, now: int) -> dict[str, Any]:
    """The standard JWT-SVID, section 3: three claims, and no other is required."""
    return {
        "aud": [audience],
        "exp": now + 300,
        "sub": "spiffe://example.org/ns/default/sa/customer-router-agent",
    }


def _other(audience: str, now: int) -> dict[str, Any]:
    """SEP-1933, "JWT Format": what each workload JWT must hold."""
    return {"iss": OTHER, "sub": "job-7", "aud": audience, "jti": str(uuid.uuid4()), "exp": now + 300, "iat": now}


_MADE: Final = {
    Platform.GITHUB: _github,
    Platform.KUBERNETES: _kubernetes,
    Platform.SPIFFE: _spiffe,
    Platform.JWT: _other,
}
