"""The answers to clients of REST APIs: one problem document (RFC 9457) for whatever is denied or refused."""

from __future__ import annotations

from http import HTTPStatus
from typing import Any, Final

from entitlements import codes
from entitlements.codes import Code
from entitlements.decisions.verdicts import Verdict
from entitlements.gateway import answers
from entitlements.gateway.http import NO_STORE, Answer, Header, encode
from entitlements.node.bearer import Bearer
from entitlements.node.directory import ServedSystem
from entitlements.node.refusals import Refused

_PROBLEM: Final[Header] = (b"content-type", b"application/problem+json")


def refused(refusal: Refused, *, slug: str = "", evaluation: str = "") -> Answer:
    """Answer a request that got no decision, or none that was an answer."""
    more: dict[str, Any] = dict(refusal.data)
    if evaluation:
        more["evaluation_id"] = evaluation
    headers: tuple[Header, ...] = ()
    if refusal.status == HTTPStatus.UNAUTHORIZED and slug:
        word = codes.meaning(refusal.code).bearer
        headers += (answers.challenge(slug, word, refusal.message, protocol=answers.REST),)
    if refusal.retry_after is not None:
        headers += ((b"retry-after", str(refusal.retry_after).encode()),)
    return _problem(refusal.code, refusal.status, refusal.message, more, headers)


def denied(entry: ServedSystem, bearer: Bearer, verdict: Verdict, evaluation: str, tool: str, kept: str = "") -> Answer:
    """Answer a denied call: what was denied, why, and what would help; a token's fault with a challenge."""
    meaning = codes.meaning(verdict.code)
    if meaning.status == HTTPStatus.SERVICE_UNAVAILABLE:
        return refused(Refused(verdict.code), evaluation=evaluation)
    more = answers.explanation(entry.slug, bearer.agent, tool, verdict, evaluation, kept=kept)
    sentence = " ".join(dict.fromkeys((more.pop("reason"), *more["reasons"])))
    headers: tuple[Header, ...] = answers.retry_after(verdict)
    if meaning.status == HTTPStatus.UNAUTHORIZED or verdict.code is Code.SCOPE_MISSING:
        scope = answers.all_scopes(bearer, verdict) if verdict.code is Code.SCOPE_MISSING else ""
        headers = (answers.challenge(entry.slug, meaning.bearer, meaning.sentence, scope, answers.REST, verdict),)
    return _problem(verdict.code, meaning.status, sentence, more, headers)


def _problem(code: Code, status: int, detail: str, more: dict[str, Any], headers: tuple[Header, ...]) -> Answer:
    document = {
        "type": f"urn:mandate:problem:{code.value}",
        "title": codes.meaning(code).sentence,
        "status": int(status),
        "detail": detail,
        **more,
        "code": code.value,
    }
    return Answer(status, encode(document), (_PROBLEM, NO_STORE, *headers))
