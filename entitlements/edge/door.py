"""What every machine endpoint of our issuers shares: a strict form in, JSON out, one trace, refusals recorded once."""

from __future__ import annotations

import functools
import logging
import re
from collections.abc import Awaitable, Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from http import HTTPStatus
from typing import Any, Final
from uuid import UUID

from audit import clock, context, draft
from audit.actions import Action
from audit.context import Principal
from audit.draft import Draft
from entitlements import addresses, ratelimits
from entitlements.backlog import Busy
from entitlements.codes import Code
from entitlements.dpop import nonces
from entitlements.errors import DomainError
from entitlements.gateway.http import JSON, Answer, Header, encode
from entitlements.node.refusals import Closed
from entitlements.secrets.seal import RootKey
from entitlements.tokens.issue import NotIssued
from entitlements.tokens.issue_token import DPOP, Claim, Claims, Outcome
from entitlements.tokens.issue_token import Answer as Written
from entitlements.traces.request_trace import RequestTrace

from . import forms, refusals
from .outside import Outside, RequestReads
from .rotation.held import Held

_REQUEST_ID: Final = re.compile(r"[A-Za-z0-9._:-]{1,100}")
_NOT_STORED: Final[tuple[Header, ...]] = (
    JSON,
    (b"cache-control", b"no-store"),
    (b"pragma", b"no-cache"),
    (b"x-content-type-options", b"nosniff"),
)

_CHALLENGE: Final[Header] = (b"www-authenticate", b'Basic realm="oauth"')
"""In each 401, however the client tried (RFC 9110 section 15.5.2)."""

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Received:
    """One request as it came in: header names in lower case, each once."""

    method: str
    path: str
    headers: Mapping[str, str]
    body: bytes
    source: str

    def header(self, name: str) -> str:
        """Return a header's value, empty when it is absent."""
        return self.headers.get(name, "")


@dataclass(slots=True)
class Attempt:
    """One request at an endpoint, as far as it has come: what a refusal will be recorded about.

    `by` is None until the client has proven who it is; until then nothing it says goes into the record. `proof` is the
    client's own assertion and `assertion` what it redeems: each is used up by the one write.
    """

    outside: Outside
    reads: RequestReads
    form: Mapping[str, str]
    authorization: str
    dpop: str | None
    """The header with a proof of possession."""
    traced: RequestTrace
    source: str
    by: Principal | None = None
    about: list[str] = field(default_factory=list)
    position: int = 0
    """How far the feed had come when the first fact was read."""
    proof: Claim | None = None
    held: Held | None = None
    """Which of its credentials the client authenticated with."""
    assertion: Claim | None = None
    possession: Claim | None = None
    """A proof of possession that was checked: used up like `proof`, with what it proves."""
    code: str | None = None
    trusted_issuer: int | None = None
    identity_link: int | None = None
    check_again: Callable[[], Awaitable[None]] | None = None
    """Proves the caller anew where a fact changed while a token was written. Raises Refused."""
    is_counted: bool = False
    is_counted_for_person: bool = False
    is_used_up: bool = False
    used: Draft | None = None
    ask: Callable[[], str] | None = None
    """Makes the address at which missing access can be requested."""

    @property
    def jkt(self) -> str:
        """The thumbprint of the key that the request proves; empty for none."""
        return "" if self.possession is None else self.possession.issuer

    def need(self, name: str) -> str:
        """Return a parameter that must be there. Raises Refused."""
        if not self.form.get(name):
            raise refusals.invalid_request(f"The parameter {name} is missing.", "parameter_missing")
        return self.form[name]

    def read_again(self) -> None:
        """Take nothing from memory any more. Raises Closed."""
        self.reads, self.position = self.reads.fresh(), self.outside.position()

    def use_up_here(self) -> None:
        """Use the client's assertion up in this process: for what mints and ends nothing. Raises Refused."""
        if self.proof is None or self.is_used_up:
            return
        if not self.outside.claim_here(self.proof):
            self.by = None
            raise _replayed()
        self.is_used_up = True


class AlreadyRefused(Exception):
    """The request was refused and the refusal recorded by the write itself; `event` is the record's."""

    def __init__(self, error: DomainError, event: UUID) -> None:
        super().__init__(error.message)
        self.error, self.event = error, event


type Endpoint = Callable[..., Awaitable[Mapping[str, Any] | Answer]]


async def serve(outside: Outside, received: Received, endpoint: Endpoint, **where: str) -> Answer:
    """Answer one request at an endpoint that takes an Attempt and returns the JSON of its answer."""
    if received.method != "POST":
        body = {"error": "invalid_request", "code": "method_not_allowed"}
        refused = json(body, HTTPStatus.METHOD_NOT_ALLOWED, (b"allow", b"POST"))
        return replace(refused, body=b"") if received.method == "HEAD" else refused
    traced = RequestTrace.of(received.header("traceparent"))
    traced.begin()
    with context.acting(trace=traced.trace, request_id=_request_id(received), source=received.source):
        try:
            answer = await _answered(outside, received, traced, functools.partial(endpoint, **where))
            traced.end("POST", _route(received.path), answer.status)
            return answer if "dpop" not in received.headers else _with_nonce(answer)
        except (Closed, clock.ClockUnknown) as error:
            return unavailable(error)  # even a refusal could not be recorded


def _route(path: str) -> str:
    """Return the addresses of an endpoint as one: of all systems alike."""
    return f"{'/as/{system}' if path.startswith('/as/') else '/idp'}/{path.rpartition('/')[2]}"


def _with_nonce(answer: Answer) -> Answer:
    """Add the nonce of now, for the next proof (RFC 9449 section 8.2)."""
    nonce = nonces.current(clock.now().timestamp(), RootKey.SIGNING)
    return replace(answer, headers=(*answer.headers, (b"dpop-nonce", nonce.encode())))


def unavailable(error: Exception) -> Answer:
    """Answer that nothing was done, since nothing could be looked up or recorded; it is logged with its cause.

    In an outage each request comes here: one line each, and no traceback.
    """
    logger.warning("issuer_closed", extra={"error": repr(error), "cause": repr(error.__cause__)})
    body = {"error": "temporarily_unavailable", "code": Code.RECORD_UNAVAILABLE.value}
    return json(body, HTTPStatus.SERVICE_UNAVAILABLE, (b"retry-after", b"2"))


async def _answered(outside: Outside, received: Received, traced: RequestTrace, endpoint: Endpoint) -> Answer:
    attempt = Attempt(
        outside,
        outside.reads(),
        {},
        received.header("authorization"),
        received.headers.get("dpop"),
        traced,
        received.source,
        position=outside.position(),
    )
    try:
        attempt.form = forms.read(received.body, received.header("content-type"))
        try:
            answer = await endpoint(attempt)
            if not (attempt.reads.is_from_memory and _says_inactive(answer)):
                return _made(answer)
        except Busy:
            raise
        except DomainError as error:
            if not attempt.reads.is_from_memory or isinstance(error, ratelimits.TooMany):
                raise
        attempt = _again(attempt)
        return _made(await endpoint(attempt))
    except ratelimits.TooMany as error:
        return await turned_away(outside, error, str(attempt.by), "slow_down")
    except AlreadyRefused as refused:
        return _refusal(attempt, refused.error, str(refused.event))
    except Busy:  # it waited for another server, and its turn did not come back in time
        raise
    except DomainError as error:
        return await refuse(attempt, error)


async def turned_away(outside: Outside, error: ratelimits.TooMany | Busy, who: str, word: str) -> Answer:
    """Answer 429 (RFC 6585) with the seconds to wait, and count it by minute: a flood must not flood the record."""
    await outside.count_stranger(error.code, who)
    body = {"error": word, "error_description": error.message, "code": error.code}
    return json(body, error.status, (b"retry-after", str(error.wait).encode()))


def _made(answer: Mapping[str, Any] | Answer) -> Answer:
    return answer if isinstance(answer, Answer) else json(answer)


def _says_inactive(answer: Mapping[str, Any] | Answer) -> bool:
    return not isinstance(answer, Answer) and answer.get("active") is False


def _again(attempt: Attempt) -> Attempt:
    """Begin the same request again on facts of now: a refusal is final on no others."""
    return Attempt(
        attempt.outside,
        attempt.reads.fresh(),
        attempt.form,
        attempt.authorization,
        attempt.dpop,
        attempt.traced,
        attempt.source,
        position=attempt.outside.position(),
        is_counted=attempt.is_counted,
        is_counted_for_person=attempt.is_counted_for_person,
        is_used_up=attempt.is_used_up,
    )


def claims_of(attempt: Attempt, links: list[str]) -> Claims:
    """Return what the request uses up when a token is written, and the refusal where its code was used before.

    The refusal of an assertion is written by itself, since hardly any was used before.
    """
    if attempt.code is None:
        return Claims(attempt.proof, attempt.assertion, dpop=attempt.possession)
    attempt.used = _event(attempt, _used_before(attempt), links)
    return Claims(attempt.proof, attempt.assertion, attempt.code, attempt.used, attempt.possession)


def check_used(attempt: Attempt, written: Written) -> None:
    """Raise what became of a write that used an assertion up a second time; nothing for every other outcome."""
    outcome = written.outcome
    if outcome is Outcome.REPLAYED and written.code == DPOP:
        attempt.possession = None
        raise _proof_used()
    if outcome is Outcome.REPLAYED:
        attempt.by = attempt.proof = None
        raise _replayed()
    if outcome is Outcome.USED and attempt.used is not None:
        attempt.is_used_up = True  # the write kept the client's assertion; what follows must not find it used
        raise AlreadyRefused(_used_before(attempt), attempt.used.uuid)
    if outcome is Outcome.USED:
        attempt.read_again()  # that it was used before is certain: nothing need be asked again
        raise _used_before(attempt)


def _replayed() -> refusals.Refused:
    return refusals.invalid_client(*refusals.USED)


def _proof_used() -> refusals.Refused:
    return refusals.Refused("invalid_dpop_proof", str(Code.PROOF_INVALID), "The proof was used before.")


def _used_before(attempt: Attempt) -> refusals.Refused:
    return refusals.invalid_grant(*(refusals.CODE_UNKNOWN if attempt.code is not None else refusals.USED))


async def refuse(attempt: Attempt, error: DomainError) -> Answer:
    """Record a refusal, once and durably, and answer it. The answer names the event as `evaluation_id`.

    A client's assertion and proof are used up also by what is refused.
    That a nonce is needed is no refusal: the client is told how to go on. Raises Closed: a refusal that is not in the
    record is not given.
    """
    if error.code == Code.PROOF_NONCE_NEEDED:
        return _refusal(attempt, error, "")
    if attempt.by is not None:
        event = _event(attempt, error, error.links if isinstance(error, NotIssued) else [])
        claims = Claims(None if attempt.is_used_up else attempt.proof, dpop=attempt.possession)
        written = await attempt.outside.refuse(event, claims)
        if written.outcome is not Outcome.REPLAYED:
            return _refusal(attempt, error, str(event.uuid))
        if written.code == DPOP:
            attempt.possession = None
            return await refuse(attempt, _proof_used())
        attempt.by, error = None, _replayed()
    await attempt.outside.count_stranger(str(error.code), attempt.source)
    return _refusal(attempt, error, "")


def _refusal(attempt: Attempt, error: DomainError, evaluation: str) -> Answer:
    body: dict[str, Any] = {
        "error": refusals.word(error),
        "error_description": _plain(error.message),
        "code": str(error.code),
    }
    if evaluation:
        body["evaluation_id"] = evaluation
    for name in ("max_age", "acr_values"):  # which sign-in would do (RFC 9470 section 3)
        if name in error.detail:
            body[name] = error.detail[name]
    if isinstance(error, NotIssued):
        body["reasons"] = error.detail["reasons"]
        if error.requestable and attempt.ask is not None:
            body["error_uri"] = body["request_access"] = attempt.ask()
    status, attempt.traced.code = refusals.status(error), str(error.code)
    return json(body, status, *([_CHALLENGE] if status == HTTPStatus.UNAUTHORIZED else []))


def _event(attempt: Attempt, error: DomainError, links: Iterable[str]) -> Draft:
    with context.acting(trace=attempt.traced.trace):
        return draft.draft(
            Action.TOKEN_REFUSED,
            by=attempt.by or context.SYSTEM,
            about=dict.fromkeys([*attempt.about, *attempt.traced.links, *links]),
            outcome="refused",
            code=str(error.code),
            reason=str(error),
            detail={"error": refusals.word(error), **error.detail},
        )


def json(body: Mapping[str, Any], status: int = HTTPStatus.OK, *headers: Header) -> Answer:
    """Return JSON that must not be stored (RFC 6749 section 5.1)."""
    return Answer(status, encode(body), (*_NOT_STORED, *headers))


def request_link(agent: str | None, system: str) -> Callable[[], str]:
    """Return what makes the address at which missing access can be requested."""
    return functools.partial(addresses.request_access, agent or "", system)


def _request_id(received: Received) -> str:
    request_id = received.header("x-request-id")
    return request_id if _REQUEST_ID.fullmatch(request_id) else ""


def _plain(message: str) -> str:
    """Keep to the characters that RFC 6749 section 5.2 allows in `error_description`."""
    return "".join(char if " " <= char <= "~" and char not in '"\\' else "'" for char in message)
