"""Every word an answer can carry, and what it becomes on each wire: one table.

A deny code is the same word in API, console, audit and documentation. The table
below is the only place where a code meets HTTP, OAuth, JSON-RPC and AuthZEN.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from http import HTTPStatus
from typing import Final

from entitlements.words import Next


class Code(StrEnum):
    """The stable word for one outcome. Words are added, never renamed."""

    ALLOWED = "allowed"

    # Nothing is served at all.
    EVERYTHING_STOPPED = "everything_stopped"
    FEED_UNKNOWN = "feed_unknown"
    LEASE_LAPSED = "lease_lapsed"
    CLOCK_UNKNOWN = "clock_unknown"
    RECORD_UNAVAILABLE = "record_unavailable"

    # Principals.
    SYSTEM_UNKNOWN = "system_unknown"
    SYSTEM_DISABLED = "system_disabled"
    AGENT_UNKNOWN = "agent_unknown"
    AGENT_STAGED = "agent_staged"
    AGENT_SUSPENDED = "agent_suspended"
    AGENT_RETIRED = "agent_retired"
    SPONSOR_MISSING = "sponsor_missing"
    SPONSOR_DISABLED = "sponsor_disabled"
    OWNER_DISABLED = "owner_disabled"
    CLIENT_UNKNOWN = "client_unknown"
    CLIENT_DISABLED = "client_disabled"
    CLIENT_UNPROVEN = "client_unproven"
    DELEGATION_NOT_PERMITTED = "delegation_not_permitted"
    PERSON_UNKNOWN = "person_unknown"
    PERSON_DISABLED = "person_disabled"

    # Tokens and sessions.
    TOKEN_MISSING = "token_missing"  # noqa: S105 - a word
    TOKEN_INVALID = "token_invalid"  # noqa: S105 - a word
    TOKEN_EXPIRED = "token_expired"  # noqa: S105 - a word
    TOKEN_REVOKED = "token_revoked"  # noqa: S105 - a word
    AUDIENCE_MISMATCH = "audience_mismatch"
    PROOF_INVALID = "proof_invalid"
    PROOF_NONCE_NEEDED = "proof_nonce_needed"
    SESSION_UNKNOWN = "session_unknown"
    SESSION_ENDED = "session_ended"
    SESSION_IDLE = "session_idle"
    SESSION_EXPIRED = "session_expired"
    REAUTHENTICATION_DUE = "reauthentication_due"

    # Tools.
    UNKNOWN_TOOL = "unknown_tool"
    TOOL_NOT_APPROVED = "tool_not_approved"
    TOOL_QUARANTINED = "tool_quarantined"
    TOOL_DISABLED = "tool_disabled"
    TOOL_REMOVED = "tool_removed"
    TOOL_CHANGED = "tool_changed"
    TOOL_DEFINITION_UNUSABLE = "tool_definition_unusable"

    # Rights.
    SCOPE_MISSING = "scope_missing"
    OUTSIDE_AUTHORIZATION_DETAILS = "outside_authorization_details"
    NO_GRANT = "no_grant"
    GRANT_NARROWER_THAN_SCOPE = "grant_narrower_than_scope"
    GRANT_NOT_STARTED = "grant_not_started"
    GRANT_EXPIRED = "grant_expired"
    GRANT_SUSPENDED = "grant_suspended"
    ARGUMENT_OUTSIDE_LIMIT = "argument_outside_limit"
    ARGUMENT_NOT_DECLARED = "argument_not_declared"
    ARGUMENT_NOT_VALID = "argument_not_valid"
    GUARDRAIL = "guardrail"
    APPROVAL_OF_CALL_REQUIRED = "approval_of_call_required"
    APPROVAL_REQUIRED = "approval_required"
    SUBJECT_UNKNOWN = "subject_unknown"
    RESOURCE_UNKNOWN = "resource_unknown"
    ACTION_UNKNOWN = "action_unknown"
    NO_RULE = "no_rule"

    # Accounts of people at the system.
    ACCOUNT_NOT_CONNECTED = "account_not_connected"
    ACCOUNT_NEEDS_PERSON = "account_needs_person"

    # Messages.
    UNKNOWN_METHOD = "unknown_method"
    MALFORMED_CALL = "malformed_call"
    HEADER_MISMATCH = "header_mismatch"
    UNSUPPORTED_VERSION = "unsupported_version"
    CAPABILITY_MISSING = "capability_missing"
    TASK_UNKNOWN = "task_unknown"
    RATE_LIMITED = "rate_limited"
    RATE_EXCEEDED = "rate_exceeded"
    BUDGET_EXHAUSTED = "budget_exhausted"
    BUDGET_NOT_MEASURABLE = "budget_not_measurable"
    ANSWER_OVER_BUDGET = "answer_over_budget"
    INPUT_MISSING = "input_missing"
    REQUEST_STATE_INVALID = "request_state_invalid"
    CALL_OVER = "call_over"
    SECRET_IN_ANSWER = "secret_in_answer"  # noqa: S105 - a word
    SYSTEM_BUSY = "system_busy"
    UPSTREAM_UNAVAILABLE = "upstream_unavailable"
    CALL_WITHDRAWN = "call_withdrawn"
    LIMIT_MALFORMED = "limit_malformed"
    SCOPE_MALFORMED = "scope_malformed"
    DEFINITION_MALFORMED = "definition_malformed"

    # Requests to a REST API.
    OPERATION_UNKNOWN = "operation_unknown"
    OPERATION_AMBIGUOUS = "operation_ambiguous"
    PATH_MALFORMED = "path_malformed"
    PARAMETER_NOT_DECLARED = "parameter_not_declared"
    PARAMETER_REPEATED = "parameter_repeated"
    PARAMETER_MISSING = "parameter_missing"
    PARAMETER_NOT_VALID = "parameter_not_valid"
    HEADER_NOT_DECLARED = "header_not_declared"
    BODY_TYPE_NOT_DECLARED = "body_type_not_declared"
    BODY_NOT_VALID = "body_not_valid"


@dataclass(frozen=True, slots=True)
class Meaning:
    """What one code says to a person and becomes on each wire.

    `status` serves problem+json and plain HTTP; `oauth` is the token endpoint's
    `error`; `bearer` is the resource server's `error` in WWW-Authenticate (RFC 6750,
    RFC 9470), empty where no challenge belongs; `jsonrpc` is the error code where a
    denial is not shaped as a tool result; `authzen` is `context.reason`.
    """

    sentence: str
    remedy: str
    status: HTTPStatus
    oauth: str
    jsonrpc: int
    authzen: str
    next: Next
    bearer: str = ""


DENIED: Final = -32001
METHOD_NOT_FOUND: Final = -32601
INVALID_PARAMS: Final = -32602
INTERNAL_ERROR: Final = -32603
HEADER_MISMATCH: Final = -32020
NO_CAPABILITY: Final = -32021
UNSUPPORTED_VERSION: Final = -32022

_SOON, _LATER = "Try again in a few seconds.", "temporarily_unavailable"
_ASK_ANALYST = "Ask an analyst why, and have it restored."


def _closed(sentence: str) -> Meaning:
    """We cannot know, so we do not serve."""
    status = HTTPStatus.SERVICE_UNAVAILABLE
    return Meaning(sentence, _SOON, status, _LATER, INTERNAL_ERROR, "policy_unavailable", Next.RETRY)


def _refused(
    sentence: str, remedy: str = _ASK_ANALYST, oauth: str = "access_denied", then: Next = Next.NONE
) -> Meaning:
    """Known, valid, and not allowed: retrying does not help."""
    return Meaning(sentence, remedy, HTTPStatus.FORBIDDEN, oauth, DENIED, "policy_denied", then)


def _unknown(sentence: str, remedy: str, oauth: str, jsonrpc: int = DENIED) -> Meaning:
    """There is no such thing here."""
    return Meaning(sentence, remedy, HTTPStatus.NOT_FOUND, oauth, jsonrpc, "policy_denied", Next.NONE)


def _too_many(
    sentence: str, remedy: str = "Wait until its window ends, or ask an analyst for more.", then: Next = Next.WAIT
) -> Meaning:
    """A later call may be allowed again."""
    return Meaning(sentence, remedy, HTTPStatus.TOO_MANY_REQUESTS, "slow_down", DENIED, "rate_limited", then)


def _upstream(
    sentence: str, remedy: str, status: HTTPStatus = HTTPStatus.BAD_GATEWAY, then: Next = Next.RETRY
) -> Meaning:
    """The call was allowed, and its answer is missing."""
    return Meaning(sentence, remedy, status, _LATER, INTERNAL_ERROR, "upstream_unavailable", then)


def _requestable(sentence: str, remedy: str, oauth: str = "access_denied") -> Meaning:
    """A request and an approval would turn this into an allow."""
    return Meaning(sentence, remedy, HTTPStatus.FORBIDDEN, oauth, DENIED, "approval_required", Next.REQUEST)


def _bad_token(sentence: str, remedy: str, bearer: str = "invalid_token", oauth: str = "invalid_grant") -> Meaning:
    """The caller must come back with another token."""
    return Meaning(
        sentence, remedy, HTTPStatus.UNAUTHORIZED, oauth, DENIED, "policy_denied", Next.REAUTHENTICATE, bearer
    )


def _bad_message(
    sentence: str, status: HTTPStatus = HTTPStatus.BAD_REQUEST, jsonrpc: int = INVALID_PARAMS, oauth: str = ""
) -> Meaning:
    """The message itself is at fault."""
    oauth = oauth or "invalid_request"
    return Meaning(sentence, "Correct the message.", status, oauth, jsonrpc, "invalid_request", Next.NONE)


_NEW_TOKEN = "Obtain a new token."  # noqa: S105 - a sentence
_SIGN_IN = "Sign in again."
_ASK_OWNER = "Ask the system's owner to review the tool."


def _insufficient(sentence: str, advice: str, oauth: str) -> Meaning:
    return Meaning(
        sentence, advice, HTTPStatus.FORBIDDEN, oauth, DENIED, "policy_denied", Next.RETRY, "insufficient_scope"
    )


TABLE: Final[dict[Code, Meaning]] = {
    Code.ALLOWED: Meaning("A grant covers this call.", "", HTTPStatus.OK, "", 0, "allowed", Next.NONE),
    Code.EVERYTHING_STOPPED: _refused("An analyst has stopped everything.", "Wait until it is started again.", _LATER),
    Code.FEED_UNKNOWN: _closed("This node cannot see the latest changes of rights."),
    Code.LEASE_LAPSED: _closed("This node has not heard from the database for too long."),
    Code.CLOCK_UNKNOWN: _closed("This node does not know the time well enough."),
    Code.RECORD_UNAVAILABLE: _closed("The decision could not be recorded."),
    Code.SYSTEM_UNKNOWN: _unknown("No such system is registered.", "Check the address.", "invalid_target"),
    Code.SYSTEM_DISABLED: _refused("The system is disabled.", oauth="invalid_target"),
    Code.AGENT_UNKNOWN: _refused("No such agent is registered.", "Register the agent first."),
    Code.AGENT_STAGED: _refused("The agent is not in use yet.", "Ask its owner to put it into use."),
    Code.AGENT_SUSPENDED: _refused("The agent is suspended."),
    Code.AGENT_RETIRED: _refused("The agent is retired.", "Register a new agent."),
    Code.SPONSOR_MISSING: _refused("The agent has no sponsor.", "Ask an analyst to name a sponsor."),
    Code.SPONSOR_DISABLED: _refused("The agent's sponsor is disabled.", "Ask an analyst to name another sponsor."),
    Code.OWNER_DISABLED: _refused(
        "The agent's owner left, and no one took over within seven days.", "Ask an analyst to name another owner."
    ),
    Code.CLIENT_UNKNOWN: _refused("No such client belongs to this agent.", oauth="invalid_client"),
    Code.CLIENT_DISABLED: _refused("The client is disabled.", oauth="invalid_client"),
    Code.CLIENT_UNPROVEN: _refused(
        "The client does not prove who it is, so it calls no tool of high or critical risk.",
        "Use a client with a key or a secret.",
    ),
    Code.DELEGATION_NOT_PERMITTED: _refused(
        "An agent acts for one that does not permit it.",
        "Ask the owner of that agent to permit the delegation.",
        oauth="invalid_grant",
    ),
    Code.PERSON_UNKNOWN: _refused(
        "The person is not known here.", "Have the person registered and linked to their sign-in."
    ),
    Code.PERSON_DISABLED: _refused("The person is disabled."),
    Code.TOKEN_MISSING: _bad_token("No token was presented.", _NEW_TOKEN, bearer=""),
    Code.TOKEN_INVALID: _bad_token("The token is not one of ours, or is damaged.", _NEW_TOKEN),
    Code.TOKEN_EXPIRED: _bad_token("The token has expired.", _NEW_TOKEN),
    Code.TOKEN_REVOKED: _bad_token("The token was revoked.", _NEW_TOKEN),
    Code.AUDIENCE_MISMATCH: _bad_token("The token is for another resource.", _NEW_TOKEN),
    Code.PROOF_INVALID: _bad_token(
        "The proof of possession does not match.", _NEW_TOKEN, "invalid_dpop_proof", "invalid_dpop_proof"
    ),
    Code.PROOF_NONCE_NEEDED: _bad_token(
        "The proof of possession needs a nonce that this server gave, not long ago.",
        "Send a proof with the nonce of the header DPoP-Nonce.",
        "use_dpop_nonce",
        "use_dpop_nonce",
    ),
    Code.SESSION_UNKNOWN: _bad_token("The session is not known, or belongs to someone else.", _SIGN_IN),
    Code.SESSION_ENDED: _bad_token("The session was ended.", _SIGN_IN),
    Code.SESSION_IDLE: _bad_token("The session was idle for too long.", _SIGN_IN),
    Code.SESSION_EXPIRED: _bad_token("The session has reached its longest life.", _SIGN_IN),
    Code.REAUTHENTICATION_DUE: _bad_token(
        "The person must sign in again first.",
        _SIGN_IN,
        "insufficient_user_authentication",
        "insufficient_user_authentication",
    ),
    Code.UNKNOWN_TOOL: _unknown(
        "The system has no such tool.", "List the tools and choose one of them.", "invalid_scope", INVALID_PARAMS
    ),
    Code.TOOL_NOT_APPROVED: _refused("The tool waits for its first review.", _ASK_OWNER),
    Code.TOOL_QUARANTINED: _refused("The tool has changed and waits for a review.", _ASK_OWNER),
    Code.TOOL_DISABLED: _refused("The tool is disabled.", _ASK_OWNER),
    Code.TOOL_REMOVED: _refused("The system no longer offers the tool.", "List the tools and choose another."),
    Code.TOOL_CHANGED: _refused("The tool is not the one that was approved.", "List the tools again."),
    Code.TOOL_DEFINITION_UNUSABLE: _refused(
        "Arguments cannot be compared with the approved definition of the tool.", _ASK_OWNER
    ),
    Code.SCOPE_MISSING: _insufficient(
        "The token does not carry the scope of the grant.", "Obtain a token with the scope.", "invalid_scope"
    ),
    Code.OUTSIDE_AUTHORIZATION_DETAILS: _insufficient(
        "The token's authorization details do not cover this call.",
        "Obtain a token whose authorization details cover it.",
        "invalid_authorization_details",
    ),
    Code.NO_GRANT: _requestable("No grant covers this.", "Request access."),
    Code.GRANT_NARROWER_THAN_SCOPE: _requestable(
        "The grant gives less than its scope, and the system looks at the scope alone.",
        "Request the whole entitlement, or reach the system through the gateway.",
    ),
    Code.GRANT_NOT_STARTED: _refused("The grant has not begun.", "Wait until it begins.", then=Next.WAIT),
    Code.GRANT_EXPIRED: _requestable("The grant has ended.", "Request access again."),
    Code.GRANT_SUSPENDED: _refused("The grant is suspended."),
    Code.ARGUMENT_OUTSIDE_LIMIT: _requestable(
        "An argument is outside the grant's limits.", "Stay inside the limits, or request wider ones."
    ),
    Code.ARGUMENT_NOT_DECLARED: _refused(
        "An argument is not declared by the tool, and the grant limits its arguments.",
        "Leave the argument out, or ask for a grant that names it.",
    ),
    Code.ARGUMENT_NOT_VALID: _refused(
        "The arguments are not what the approved definition of the tool declares.",
        "Correct the arguments: tools/list shows what the tool takes.",
    ),
    Code.GUARDRAIL: _refused("A guardrail forbids this.", "Ask security whether the guardrail is right."),
    Code.APPROVAL_OF_CALL_REQUIRED: _refused(
        "A person must approve this call first.", "Wait for the answer, then call again.", then=Next.WAIT
    ),
    Code.ACCOUNT_NOT_CONNECTED: _refused(
        "The person has no account connected at the system that this agent may use.",
        "Have the person connect their account, or let this agent use it.",
    ),
    Code.ACCOUNT_NEEDS_PERSON: _refused(
        "The system is called with the account of a person, and the agent acts for no person.",
        "Call the system through an agent that acts for a person.",
    ),
    Code.APPROVAL_REQUIRED: _requestable(
        "A guardrail or a risk signal holds this for a person's approval, and calls cannot wait for one yet.",
        "Request access, and say what the call is for.",
    ),
    Code.SUBJECT_UNKNOWN: _refused("The subject or its type is not known.", "Name a subject of the policy domain."),
    Code.RESOURCE_UNKNOWN: _refused("The resource or its type is not known.", "Name one of the policy domain."),
    Code.ACTION_UNKNOWN: _refused("Resources of this type have no such action.", "Name one of the policy domain."),
    Code.NO_RULE: _refused("No rule of the policy domain permits this.", "Ask the system's owner about the rules."),
    Code.UNKNOWN_METHOD: _bad_message("The method is not known.", HTTPStatus.NOT_FOUND, METHOD_NOT_FOUND),
    Code.MALFORMED_CALL: _bad_message("The message is malformed."),
    Code.HEADER_MISMATCH: _bad_message("A header and the body say different things.", jsonrpc=HEADER_MISMATCH),
    Code.UNSUPPORTED_VERSION: _bad_message("The protocol version is not supported.", jsonrpc=UNSUPPORTED_VERSION),
    Code.CAPABILITY_MISSING: _bad_message("The client lacks a capability.", jsonrpc=NO_CAPABILITY),
    Code.TASK_UNKNOWN: _bad_message("There is no such task, or it is over, or another caller's."),
    Code.RATE_LIMITED: _too_many("Too many calls.", "Wait, then try again.", Next.RETRY),
    Code.RATE_EXCEEDED: _too_many("Too many calls for a rate of the grant, the agent or the system."),
    Code.BUDGET_EXHAUSTED: _too_many("A budget of the grant, the agent or the system is used up."),
    Code.BUDGET_NOT_MEASURABLE: _refused(
        "The arguments do not say what the call costs, and a budget counts it.",
        "Give the argument that the budget counts.",
    ),
    Code.ANSWER_OVER_BUDGET: _upstream(
        "The system answered, and the answer is larger than a budget allows.",
        "Ask for less. The system may have carried the call out.",
        then=Next.NONE,
    ),
    Code.INPUT_MISSING: _upstream(
        "The system asks for input that it does not get.",
        "Call with a client that gives what the system asks for. The system may have carried out a part of the call.",
        then=Next.NONE,
    ),
    Code.REQUEST_STATE_INVALID: _bad_message("The request state is of another call, too old, or used before."),
    Code.CALL_OVER: _upstream(
        "The call that waited for this answer is over.", "Make the call again, without its state.", HTTPStatus.CONFLICT
    ),
    Code.SECRET_IN_ANSWER: _upstream(
        "The system's answer holds a secret and is kept back.",
        "Tell the owner of the system. The system may have carried the call out.",
        then=Next.NONE,
    ),
    Code.SYSTEM_BUSY: _upstream("Too many calls wait for the system.", _SOON, HTTPStatus.SERVICE_UNAVAILABLE),
    Code.UPSTREAM_UNAVAILABLE: _upstream("The system did not answer.", "Try again later."),
    Code.CALL_WITHDRAWN: _refused(
        "A right was taken away while the call was on its way.", "Ask who took it away, and why."
    ),
    Code.LIMIT_MALFORMED: _bad_message("The limit is malformed.", HTTPStatus.UNPROCESSABLE_ENTITY),
    Code.SCOPE_MALFORMED: _bad_message("The scope is malformed.", oauth="invalid_scope"),
    Code.DEFINITION_MALFORMED: _bad_message(
        "The tool's definition is malformed or too large.", HTTPStatus.UNPROCESSABLE_ENTITY
    ),
    Code.OPERATION_UNKNOWN: _bad_message(
        "The system has no operation at this path with this method.", HTTPStatus.NOT_FOUND
    ),
    Code.OPERATION_AMBIGUOUS: _bad_message("More than one operation of the system fits this path."),
    Code.PATH_MALFORMED: _bad_message("The path can be read in several ways."),
    Code.PARAMETER_NOT_DECLARED: _bad_message("A parameter is not declared by the operation."),
    Code.PARAMETER_REPEATED: _bad_message("A parameter is there more than once."),
    Code.PARAMETER_MISSING: _bad_message("A required parameter is missing."),
    Code.PARAMETER_NOT_VALID: _bad_message("A parameter is not written as the operation declares."),
    Code.HEADER_NOT_DECLARED: _bad_message("A header that changes the request is not declared by the operation."),
    Code.BODY_TYPE_NOT_DECLARED: _bad_message(
        "The body is of a type that the operation does not declare.", HTTPStatus.UNSUPPORTED_MEDIA_TYPE
    ),
    Code.BODY_NOT_VALID: _bad_message("The body is not written as the operation declares."),
}


def meaning(code: Code) -> Meaning:
    """Say what a code means on every wire."""
    return TABLE[code]
