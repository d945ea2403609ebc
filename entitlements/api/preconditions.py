"""ETag and If-Match (RFC 9110, section 13): an edit names the version that it was made from."""

from __future__ import annotations

from http import HTTPStatus

from rest_framework.request import Request

from entitlements.errors import DomainError, Stale


class PreconditionRequired(DomainError):
    """Send If-Match with the ETag of what you read, so that you do not overwrite another person's change."""

    code, status = "precondition_required", HTTPStatus.PRECONDITION_REQUIRED


def etag(version: int) -> str:
    """Return the entity tag of a version."""
    return f'"{version}"'


def require(request: Request, version: int) -> None:
    """Check If-Match against the version, read under the lock of the change. Raises PreconditionRequired, Stale."""
    if_match = request.headers.get("If-Match")
    if if_match is None:
        raise PreconditionRequired
    _compare(if_match, version)


def respect(request: Request, version: int) -> None:
    """Check If-Match where it was sent. Raises Stale."""
    if_match = request.headers.get("If-Match")
    if if_match is not None:
        _compare(if_match, version)


def _compare(if_match: str, version: int) -> None:
    tags = {tag.strip() for tag in if_match.split(",")}
    if "*" not in tags and etag(version) not in tags:  # a weak tag never matches (section 13.1.1)
        raise Stale(etag=etag(version))
