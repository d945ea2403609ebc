"""What the tokens of each workload platform hold, how long they live, and which rules about them are too wide. Pure.

The claims are those that GitHub ("OpenID Connect reference"), Kubernetes ("ServiceAccount token volume projection"),
SPIFFE ("JWT-SVID") and SEP-1933 document. A rule names claims and the text that each must be.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from http import HTTPStatus
from typing import Any, Final

from entitlements.errors import DomainError
from entitlements.trusted_issuers import spiffe

MOST_CLAIMS: Final = 20
LONGEST: Final = 512
"""Characters of a claim's value in a rule."""

_SERVICE_ACCOUNT: Final = re.compile(
    r"system:serviceaccount:[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?:[a-z0-9][a-z0-9.-]{0,252}"
)
_REPOSITORY: Final = re.compile(r"[A-Za-z0-9_-]+/[A-Za-z0-9._-]+")
_NUMBER: Final = re.compile(r"[1-9][0-9]{0,19}")
_OTHER_CLAIM: Final = re.compile(r"[A-Za-z][A-Za-z0-9_.:-]{0,98}")
_OF_EVERY_TOKEN: Final = frozenset({"iss", "aud", "exp", "iat", "nbf", "jti"})
_REFS: Final = ("refs/heads/", "refs/tags/")
_PULLED: Final = "refs/pull/"


class Platform(StrEnum):
    """Who signs for the workload; the value is stored."""

    GITHUB = "github"
    KUBERNETES = "kubernetes"
    SPIFFE = "spiffe"
    JWT = "jwt"


class RuleTooWide(DomainError):
    """The rule would let in more workloads than one agent has. Name the claims that single them out."""

    code, status = "workload_rule_too_wide", HTTPStatus.UNPROCESSABLE_ENTITY


class RuleMalformed(DomainError):
    """The rule names a claim that such tokens do not have, or a value that none of them can have."""

    code, status = "workload_rule_malformed", HTTPStatus.UNPROCESSABLE_ENTITY


@dataclass(frozen=True, slots=True)
class Shape:
    """What the tokens of a platform hold: `required` beside `sub` and `exp`, and how many seconds they live at most.

    `claims` are those that a rule may name, empty for any.
    """

    required: frozenset[str]
    longest: float
    claims: frozenset[str] = frozenset()


SHAPES: Final[Mapping[Platform, Shape]] = {
    Platform.GITHUB: Shape(
        frozenset({"iss", "iat", "jti"}),
        6 * 3600.0,
        frozenset(
            {
                *("repository", "repository_id", "repository_owner", "repository_owner_id", "repository_visibility"),
                *("ref", "ref_protected", "environment", "job_workflow_ref", "workflow_ref", "event_name", "sub"),
                "runner_environment",
            }
        ),
    ),
    Platform.KUBERNETES: Shape(
        frozenset({"iss", "iat"}),
        3_660.0,  # an hour, and the seconds that kube-apiserver adds to its default
        frozenset(
            {"sub", "kubernetes.io/namespace", "kubernetes.io/serviceaccount/name", "kubernetes.io/serviceaccount/uid"}
        ),
    ),
    Platform.SPIFFE: Shape(frozenset(), 3_600.0, frozenset({"sub"})),
    Platform.JWT: Shape(frozenset({"iss", "iat", "jti"}), 3_600.0),
}
FROM_STRANGERS: Final = frozenset(
    {
        *("pull_request", "pull_request_target", "pull_request_review", "pull_request_review_comment"),
        *("pull_request_comment", "issues", "issue_comment", "discussion", "discussion_comment", "fork", "watch"),
        *("workflow_run", "public", "gollum"),
    }
)
"""Events of GitHub that people without write access to the repository can cause, or pass their input on."""


_OF_PLATFORMS: Final = frozenset({"repository_owner_id", "kubernetes.io"})
"""Claims by which a platform is known whose rules must be kept, whatever a rule calls it."""


def value(claims: Mapping[str, Any], name: str) -> str | None:
    """Return the text of a claim; `a/b` is the member `b` of the claim `a`. None where it is no text."""
    found: Any = claims
    for part in name.split("/"):
        found = found.get(part) if isinstance(found, Mapping) else None
    return found if isinstance(found, str) else None


def check_rule(platform: Platform, issuer: str, wanted: Mapping[str, str]) -> None:
    """Check that a rule about an issuer's tokens singles workloads out. Raises RuleTooWide, RuleMalformed."""
    shape = SHAPES[platform]
    if not wanted:
        raise RuleTooWide("The rule names no claim. Name the claims that single the workload out.")
    if len(wanted) > MOST_CLAIMS:
        raise RuleMalformed(f"A rule names at most {MOST_CLAIMS} claims.")
    for name, text in wanted.items():
        is_known = (
            name in shape.claims if shape.claims else _OTHER_CLAIM.fullmatch(name) and name not in _OF_EVERY_TOKEN
        )
        if not is_known:
            raise RuleMalformed(f"A rule about such tokens cannot name the claim {name!r}.", claim=name)
        if not 0 < len(text) <= LONGEST or not text.isprintable() or text != text.strip():
            raise RuleMalformed(f"The value of {name} is a text of 1 to {LONGEST} printable characters.", claim=name)
        if "*" in text and not _may_be_prefix(platform, name, text):
            message = f"The value of {name} must be exact: a star stands for the end of {_STARS[platform]}."
            raise RuleTooWide(message, claim=name)
    _CHECKS[platform](issuer, wanted)


def why_not(platform: Platform, issuer: str, wanted: Mapping[str, str], claims: Mapping[str, Any]) -> str:
    """Say why a token that a rule describes is refused all the same; empty when it is not."""
    for name in sorted({"sub", *SHAPES[platform].required}):
        if claims.get(name) is None:
            return f"The token has no claim {name}, which each token of this platform has."
    if platform is Platform.JWT and (of_platform := _OF_PLATFORMS & claims.keys()):
        return f"The token has the claim {min(of_platform)}. Make the rule one for that platform."
    if platform is Platform.GITHUB:
        return _why_not_github(wanted, claims)
    if platform is Platform.KUBERNETES:
        named = (value(claims, "kubernetes.io/namespace"), value(claims, "kubernetes.io/serviceaccount/name"))
        if claims["sub"] != f"system:serviceaccount:{named[0]}:{named[1]}":
            return "The token's subject and its service account are not the same."
    if platform is Platform.SPIFFE:
        domain = spiffe.trust_domain(claims["sub"])
        if domain is None or (issuer.startswith(spiffe.SCHEME) and domain != issuer):
            return "The token's subject is not a SPIFFE ID of its trust domain."
    return ""


def _why_not_github(wanted: Mapping[str, str], claims: Mapping[str, Any]) -> str:
    event = value(claims, "event_name")
    if event is None or (event in FROM_STRANGERS and wanted.get("event_name") != event):
        return "The job was started by an event that people outside the repository can cause."
    if (value(claims, "ref") or _PULLED).startswith(_PULLED) and "event_name" not in wanted:
        return "The job runs on a pull request."
    return ""


def _may_be_prefix(platform: Platform, name: str, text: str) -> bool:
    """Say whether a value may end in a star: after a separator, where no other party can choose what follows."""
    begins = text.removesuffix("*")
    if "*" in begins or not begins.endswith("/"):
        return False
    if platform is Platform.GITHUB:
        return name == "ref" and begins.startswith(_REFS)
    return platform is Platform.SPIFFE and spiffe.trust_domain(begins.removesuffix("/")) is not None


def _check_github(_issuer: str, wanted: Mapping[str, str]) -> None:
    for name in ("repository_id", "repository_owner_id"):
        if name in wanted and not _NUMBER.fullmatch(wanted[name]):
            raise RuleMalformed(f"{name} is a number, as GitHub's API shows it.", claim=name)
    if "repository" in wanted and not _REPOSITORY.fullmatch(wanted["repository"]):
        raise RuleMalformed("repository is the owner and the name: octo-org/octo-repo.", claim="repository")
    if "repository_owner_id" not in wanted:
        raise RuleTooWide(
            "Name repository_owner_id: the name of an account can be taken over by another one.",
            claim="repository_owner_id",
        )
    if not {"repository", "repository_id"} & wanted.keys():
        raise RuleTooWide("Name the repository, by repository_id or repository.", claim="repository_id")
    if not {"ref", "environment", "job_workflow_ref"} & wanted.keys():
        raise RuleTooWide(
            "Name ref, environment or job_workflow_ref: else each branch that a contributor pushes gets the token.",
            claim="ref",
        )
    if wanted.get("ref", _REFS[0]).startswith(_PULLED) and "event_name" not in wanted:
        raise RuleTooWide("A rule about pull requests names event_name too.", claim="event_name")


def _check_kubernetes(_issuer: str, wanted: Mapping[str, str]) -> None:
    if "sub" not in wanted:
        raise RuleTooWide("Name sub: system:serviceaccount:<namespace>:<name>.", claim="sub")
    if not _SERVICE_ACCOUNT.fullmatch(wanted["sub"]):
        raise RuleMalformed("sub is system:serviceaccount:<namespace>:<name>.", claim="sub")


def _check_spiffe(issuer: str, wanted: Mapping[str, str]) -> None:
    domain = spiffe.trust_domain(wanted["sub"].removesuffix("*").removesuffix("/"))
    if domain is None:
        raise RuleMalformed("sub is a SPIFFE ID with a path: spiffe://example.org/ns/default/sa/agent.", claim="sub")
    if issuer.startswith(spiffe.SCHEME) and domain != issuer:
        raise RuleMalformed("sub is a SPIFFE ID of the issuer's own trust domain.", claim="sub", issuer=issuer)


def _check_other(_issuer: str, wanted: Mapping[str, str]) -> None:
    if "sub" not in wanted:
        raise RuleTooWide("Name sub, the workload itself.", claim="sub")


_CHECKS: Final = {
    Platform.GITHUB: _check_github,
    Platform.KUBERNETES: _check_kubernetes,
    Platform.SPIFFE: _check_spiffe,
    Platform.JWT: _check_other,
}
_STARS: Final = {
    Platform.GITHUB: "ref alone, after a slash (refs/heads/release/*)",
    Platform.KUBERNETES: "nothing here",
    Platform.SPIFFE: "sub, after a slash below the trust domain (spiffe://example.org/ns/payments/*)",
    Platform.JWT: "nothing here",
}
