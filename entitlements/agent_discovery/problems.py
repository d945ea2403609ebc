"""What keeps a pull from reading a list to its end: each with a stable code, which the run shows."""

from __future__ import annotations

from http import HTTPStatus

from entitlements.errors import DomainError


class PullProblem(DomainError):
    """The source could not be read."""

    code, status = "discovery_failed", HTTPStatus.BAD_GATEWAY


class Refused(PullProblem):
    """The source refused the credential, or the credential lacks a permission. Check both at the source."""

    code = "discovery_refused"


class ListMissing(PullProblem):
    """The source does not offer this list. It may need another subscription; else read only the other list."""

    code = "discovery_list_missing"


class RateLimited(PullProblem):
    """The source asked to wait for longer than a run waits. The next run reads the list from its beginning."""

    code = "discovery_rate_limited"


class Unreadable(PullProblem):
    """The source answered with something that is not the documented form."""

    code = "discovery_unreadable"


class PageTooLarge(PullProblem):
    """A page of the source is larger than a run reads."""

    code = "discovery_page_too_large"


class TooMuch(PullProblem):
    """The source lists more rows or pages than a run reads, or took too long."""

    code = "discovery_too_much"


class NextElsewhere(PullProblem):
    """The next page is at another host. The credential was not sent there."""

    code = "discovery_next_elsewhere"


class Loop(PullProblem):
    """The source names a next page that was already read."""

    code = "discovery_loop"


class Unreachable(PullProblem):
    """The source did not answer, or answered with an error of its own."""

    code = "discovery_unreachable"


class Clipped(PullProblem):
    """The inventory says that its report is cut off. Raise the limit of the report, or narrow its query."""

    code = "discovery_clipped"


class CredentialBroken(PullProblem):
    """The stored credential cannot be opened or used. Give it again."""

    code = "discovery_credential_broken"


class Interrupted(PullProblem):
    """The worker of the run ended three times before the run did."""

    code = "discovery_interrupted"
