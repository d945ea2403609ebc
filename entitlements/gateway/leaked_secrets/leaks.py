"""The refusal of an answer that holds a secret of the vault, and its event, which holds nothing of the secret."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from typing import Final

from audit import draft
from audit.actions import Action
from audit.draft import TextDraft
from entitlements import codes
from entitlements.codes import Code
from entitlements.decisions.verdicts import Effect, Reason, Remedy, Verdict
from entitlements.node.records import CallDetails

CODE: Final = Code.SECRET_IN_ANSWER


class SecretInAnswer(Exception):
    """A system answered with secrets, which open the systems that `owners` names: nothing of it is passed on.

    `is_over` says whether the system has nothing more to say to the call.
    """

    def __init__(self, owners: Iterable[str], *, is_over: bool = True) -> None:
        self.owners, self.is_over = frozenset(owners), is_over
        super().__init__(codes.meaning(CODE).sentence)


def refuse(owners: Iterable[str], *, is_over: bool = True) -> None:
    """Let an answer pass in which no secret was found. Raises SecretInAnswer."""
    if owners:
        raise SecretInAnswer(owners, is_over=is_over)


def verdict() -> Verdict:
    """Return what a caller is told in place of such an answer."""
    meaning = codes.meaning(CODE)
    return Verdict(Effect.DENY, CODE, (Reason(CODE, meaning.sentence),), remedy=Remedy(meaning.next, meaning.remedy))


def event(about: CallDetails, owners: Iterable[str]) -> TextDraft:
    """Say that secrets which open these systems stood in an answer: one event for a call or a stream."""
    opened = sorted(owners)
    about.evaluation = about.evaluation or draft.new_uuid()
    detail = draft.canonical({"evaluation": about.evaluation, "system": about.system, "opens": opened})
    linked = replace(about)
    for owner in opened:
        linked.link("system", owner)
    return draft.event(
        linked.shared(None),
        (Action.SECRET_LEAKED, "failure", CODE.value),
        detail,
        uuid=draft.following_uuid(about.evaluation, b"leak"),
        trace=about.trace,
        request_id=about.request_id,
        source=about.source,
    )
