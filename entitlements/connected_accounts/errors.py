"""Why an account is not connected, or not changed."""

from __future__ import annotations

from http import HTTPStatus

from entitlements.errors import DomainError


class AccountsNotUsed(DomainError):
    """The system is not called with accounts of people."""

    code, status = "accounts_not_used", HTTPStatus.NOT_FOUND


class NoAgentChosen(DomainError):
    """Choose at least one agent that may use your account."""

    code, status = "no_agent_chosen", HTTPStatus.UNPROCESSABLE_ENTITY


class AgentNotOffered(DomainError):
    """You chose an agent that does not act for you at this system, or no longer. Open the page again."""

    code, status = "agent_not_offered", HTTPStatus.UNPROCESSABLE_ENTITY


class AccountSignInUnknown(DomainError):
    """The sign-in is not known: it took more than ten minutes, or its answer came before. Connect the account again."""

    code, status = "account_sign_in_unknown", HTTPStatus.NOT_FOUND


class AccountSignInMismatch(DomainError):
    """The sign-in was begun by another person, or in another browser, so no account is connected."""

    code, status = "account_sign_in_mismatch", HTTPStatus.FORBIDDEN


class AccountRedirectMismatch(DomainError):
    """The answer came to the address of another system or authorization server, so no account is connected."""

    code, status = "account_redirect_mismatch", HTTPStatus.BAD_REQUEST


class AccountIssuerMismatch(DomainError):
    """The answer does not name the authorization server that was asked, so no account is connected."""

    code, status = "account_issuer_mismatch", HTTPStatus.BAD_REQUEST


class AccountRefusedUpstream(DomainError):
    """The system's authorization server refused, or you declined there. Nothing is connected."""

    code, status = "account_refused_upstream", HTTPStatus.FORBIDDEN


class AccountServerUnusable(DomainError):
    """The system's authorization server cannot be used. Its owner checks the settings of the credential."""

    code, status = "account_server_unusable", HTTPStatus.BAD_GATEWAY


class AccountEnded(DomainError):
    """The account is no longer connected. It can be connected again."""

    code, status = "account_ended", HTTPStatus.CONFLICT
