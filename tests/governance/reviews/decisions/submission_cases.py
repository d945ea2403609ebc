"""Cases of submitting drafts: allowed ones, and each way to spoil one fact."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from random import Random
from typing import Any
from uuid import UUID

from entitlements.words import Risk
from governance.conflicts_of_interest.routing import ItemPeople
from governance.reviews.decisions.rules import Case, Drafted, Earlier, Holdings, Violation
from governance.reviews.items.answer import Answer

NOW = datetime(2030, 1, 1, tzinfo=UTC)
HOUR, DAY = timedelta(hours=1), timedelta(days=1)
ZONES = {"zone": {"one_of": ["Paris", "Tokyo"]}}
PARIS = {"zone": {"one_of": ["Paris"]}}
BERLIN = {"zone": {"one_of": ["Berlin"]}}
KEEP = ("business_need", "seasonal", "break_glass", "mandated")
DROP = ("unused", "wrong_scope", "not_appropriate", "owner_gone", "project_ended", "duplicate", "risk", "drifted")
ABSTAIN = ("not_mine", "dont_understand", "conflict", "need_info")
CODES = {"certify": KEEP, "reduce": DROP, "revoke": DROP, "abstain": ABSTAIN}
SENTENCE = "The team works with it every day."
VOICES = ("lea", "lea.second", "rob")
"""Who submits, by both accounts, and the reviewer in whose place."""
OTHERS = ("ann", "bea", "carl", "dora")


def tag(case: Case) -> str:
    """Name the drafts that were listed."""
    lines = sorted((pk, rev) for pk, (_item, rev) in case.listed.items())
    return hashlib.sha256("\n".join(f"{pk}:{rev}" for pk, rev in lines).encode()).hexdigest()[:32]


def uuid(random: Random) -> UUID:
    """Return some key."""
    return UUID(int=random.getrandbits(128))


def allowed(random: Random) -> Case:
    """Return a case in which each answer counts."""
    drafts = [allowed_draft(random, number) for number in range(random.choice((1, 1, 2, 3)))]
    listed = {uuid(random): (draft.item, random.randint(1, 5)) for draft in drafts}
    case = Case(NOW, True, True, True, None, listed, listed, frozenset(), drafts)  # noqa: FBT003 - as the fields stand
    return replace(case, tag=tag(case)) if random.random() < 0.5 else case


def allowed_draft(random: Random, number: int) -> Drafted:
    """Return an answer that counts, about an item of any kind, risk and stage."""
    risk, stages = random.choice(list(Risk)), random.choice((1, 2))
    stage = random.randint(1, stages)
    is_whole = random.random() < 0.1
    kind = random.choice(("access", "access", "access", "entitlement", "delegation", "agent"))
    lines = random.sample(range(1, 20), random.randint(2, 5))
    answer = allowed_answer(random, kind, lines, is_whole=is_whole)
    limits = dict.fromkeys(answer.kept, ZONES)
    ends_at = NOW + timedelta(days=random.randint(31, 60))
    people = ItemPeople(
        sponsor="ann",
        system_owner="rob",
        manager="carl",
        stage=stage,
        own=frozenset({"dora"}),
        owners=frozenset({"bea"}),
        requesters=frozenset({"carl"}),
        beneficiaries=frozenset({"dora"}),
        active=frozenset(random.sample((*VOICES, *OTHERS), 3)),
        approvers=frozenset({"carl"}),
    )
    earlier = [Earlier(uuid(random), 1, random.choice(("certify", "reduce")))] if stage > 1 else []
    taken_back = Earlier(uuid(random), stage, random.choice(("certify", "reduce", "revoke")), is_taken_back=True)
    abstained = Earlier(uuid(random), stage, "abstain")
    earlier += random.choice(([], [abstained], [taken_back]))
    excepted = [Violation("policy", "bot", "Bot", excepted_by=random.choice(OTHERS))]
    return Drafted(
        item=uuid(random),
        name=f"bot-{number}",
        answer=answer,
        stage=stage,
        stages=stages,
        risk=risk,
        holdings=Holdings(kind, is_whole, sorted(lines), ends_at, limits),
        people=people,
        voices=random.choice((VOICES, VOICES[:1])),
        suggestion=random.choice(("", "keep", "reduce", "revoke", "look")),
        violations=random.choice(((), excepted)),
        earlier=earlier,
    )


def allowed_answer(random: Random, kind: str, lines: list[int], *, is_whole: bool) -> Answer:
    """Return an answer with all that it may need, and now and then what else it may have."""
    has_parts = kind in ("access", "entitlement") and not is_whole
    verb = random.choice(("certify", "revoke", "abstain", *(("reduce", "reduce") if has_parts else ())))
    answer = Answer(verb, random.choice(CODES[verb]), SENTENCE)
    more = random.random() < 0.3 and kind == "access"
    if verb == "reduce":
        answer = replace(answer, kept=tuple(random.sample(lines, random.randint(1, len(lines) - 1))))
        if more:
            answer = replace(answer, limits={answer.kept[0]: PARIS})
    if more and verb == "revoke":
        answer = replace(answer, effective_at=NOW + timedelta(days=random.randint(1, 14)))
    if more and verb in ("certify", "reduce") and not is_whole:
        answer = replace(answer, valid_until=NOW + timedelta(days=random.randint(1, 30)))
    return answer


@dataclass(frozen=True)
class Spoiler:
    """One fact that is wrong, the code and the detail that say so, and how an allowed case gets it."""

    name: str
    code: str
    spoil: Callable[[Case, Random], Case]
    detail: tuple[str, str] | None = None


def of_draft(change: Callable[[Drafted], Drafted]) -> Callable[[Case, Random], Case]:
    """Spoil one of the drafts."""

    def spoil(case: Case, random: Random) -> Case:
        place = random.randrange(len(case.drafts))
        return replace(case, drafts=[change(each) if n == place else each for n, each in enumerate(case.drafts)])

    return spoil


def answering(verb: str, kind: str = "access", *, is_whole: bool = False, **parts: Any) -> Callable[[Drafted], Drafted]:  # noqa: ANN401
    """Change an answer to this one, about an item of this kind."""

    def change(draft: Drafted) -> Drafted:
        holdings = replace(draft.holdings, kind=kind, is_whole=is_whole, lines=[1, 2, 3], limits={1: ZONES, 2: ZONES})
        reason = CODES[verb][0] if verb in CODES else ""
        return replace(draft, holdings=holdings, answer=replace(Answer(verb, reason, SENTENCE), **parts))

    return change


def around(**people: Any) -> Callable[[Drafted], Drafted]:  # noqa: ANN401 - any field of it
    """Change the people around an item."""
    return lambda draft: replace(draft, people=replace(draft.people, **people))


def keeping(risk: Risk, suggestion: str = "", **parts: Any) -> Callable[[Drafted], Drafted]:  # noqa: ANN401 - of an answer
    """Keep an item of this risk, with this suggestion."""
    keep = answering("certify", **parts)
    return lambda draft: replace(keep(draft), risk=risk, suggestion=suggestion)


def violating(by: str) -> Callable[[Drafted], Drafted]:
    """Let the item take part in a violation, excepted by a person or by none, beside one that is excepted well."""
    violations = [
        Violation("other", "bot", "Bot", excepted_by="carl"),
        Violation("policy", "bot", "Bot", excepted_by=by),
    ]
    return lambda draft: replace(draft, violations=violations)


def drafted_again(case: Case, random: Random) -> Case:
    pk = random.choice(list(case.held))
    item, rev = case.held[pk]
    return replace(case, tag=tag(case), held={**case.held, pk: (item, rev + 1)})


def unproven(case: Case, random: Random) -> Case:
    return replace(of_draft(keeping(Risk.CRITICAL))(case, random), is_proven=False)


OUTDATED, CONFLICT = "review_answer_outdated", "conflict_of_interest"


def fits_not(name: str, part: str, change: Callable[[Drafted], Drafted]) -> Spoiler:
    return Spoiler(name, OUTDATED, of_draft(change), ("field", part))


def conflicts(name: str, why: str, **people: Any) -> Spoiler:  # noqa: ANN401 - any field of it
    return Spoiler(name, CONFLICT, of_draft(around(asked_first=None, **people)), ("why", why))


SPOILERS = (
    Spoiler("paused", "campaign_not_under_way", lambda case, _: replace(case, is_under_way=False)),
    Spoiler("left", "may_not_review", lambda case, _: replace(case, is_active=False)),
    Spoiler("no drafts", "nothing_to_submit", lambda case, _: replace(case, listed={}, held={}, tag=None, drafts=[])),
    Spoiler("all decided", "nothing_to_submit", lambda case, _: replace(case, held={}, drafts=[])),
    Spoiler("other drafts", "stale", lambda case, _: replace(case, tag="0" * 32)),
    Spoiler("drafted again", "stale", drafted_again),
    Spoiler("not re-authenticated", "stale", unproven),
    fits_not("unknown verb", "verb", answering("approve")),
    fits_not("reason of another verb", "verb", answering("revoke", reason_code="seasonal")),
    fits_not("lines kept by a removal", "kept", answering("revoke", kept=(1,))),
    fits_not("limits kept by certify", "kept", answering("certify", limits={1: PARIS})),
    fits_not("end within the hour", "valid_until", answering("certify", valid_until=NOW + HOUR)),
    fits_not("end of a removal", "valid_until", answering("revoke", valid_until=NOW + DAY)),
    fits_not("removal within the hour", "effective_at", answering("revoke", effective_at=NOW + HOUR)),
    fits_not("removal after a fortnight", "effective_at", answering("revoke", effective_at=NOW + 15 * DAY)),
    fits_not("later day of certify", "effective_at", answering("certify", effective_at=NOW + DAY)),
    fits_not("end that is not earlier", "valid_until", answering("certify", valid_until=NOW + 90 * DAY)),
    fits_not("nothing kept", "kept", answering("reduce")),
    fits_not("all kept", "kept", answering("reduce", kept=(1, 2, 3))),
    fits_not("lines of another item", "kept", answering("reduce", kept=(1, 99))),
    fits_not("same limits", "limits", answering("reduce", kept=(1,), limits={1: ZONES})),
    fits_not("looser limits", "limits", answering("reduce", kept=(1,), limits={1: BERLIN})),
    fits_not("limits of a dropped line", "limits", answering("reduce", kept=(1,), limits={2: PARIS})),
    fits_not("part of what is whole", "verb", answering("reduce", kept=(1,), is_whole=True)),
    fits_not("end of what is whole", "valid_until", answering("certify", valid_until=NOW + DAY, is_whole=True)),
    fits_not("part of an agent", "verb", answering("reduce", "agent", kept=(1,))),
    fits_not("end of an agent", "valid_until", answering("certify", "agent", valid_until=NOW + DAY)),
    fits_not("later removal of an agent", "effective_at", answering("revoke", "agent", effective_at=NOW + DAY)),
    fits_not("limits of an entitlement", "limits", answering("reduce", "entitlement", kept=(1,), limits={1: PARIS})),
    conflicts("their own", "their_own", own=frozenset({"lea"})),
    conflicts("requested", "requested_it", requesters=frozenset({"lea"})),
    conflicts("owns the agent", "owns_the_agent", owners=frozenset({"lea"})),
    conflicts("benefits", "benefits", beneficiaries=frozenset({"lea"})),
    conflicts("approved lately", "approved_it_lately", approvers=frozenset({"lea"})),
    conflicts("answered before", "answered_another_stage", answered=frozenset({"lea"})),
    conflicts("gave it alone", "gave_it_at_their_system", gave=frozenset({"lea"})),
    Spoiler("violation", "sod_violation_open", of_draft(violating(""))),
    Spoiler("own exception", "sod_violation_open", of_draft(violating("lea"))),
    Spoiler("no reason for high risk", "reason_required", of_draft(keeping(Risk.HIGH, reason_code=""))),
    Spoiler("no reason against it", "reason_required", of_draft(keeping(Risk.LOW, "revoke", reason_code=""))),
    Spoiler("no reason to remove", "reason_required", of_draft(answering("revoke", reason_code=""))),
    Spoiler("no own words", "written_reason_required", of_draft(keeping(Risk.CRITICAL, comment="?! ok, ok. ok ;"))),
    Spoiler("no words at all", "written_reason_required", of_draft(keeping(Risk.CRITICAL, comment=""))),
    Spoiler("nine letters", "written_reason_required", of_draft(keeping(Risk.CRITICAL, "keep", comment="It is used!"))),
)


def scrambled(random: Random) -> Case:
    """Return a case with no, one or several facts spoiled, of the same answer or of others."""
    case = allowed(random)
    spoilers = random.sample(SPOILERS, random.choice((0, 0, 1, 1, 2, 3)))
    for spoiler in spoilers * random.choice((1, 1, 2)):
        if case.drafts:
            case = spoiler.spoil(case, random)
    draft = random.randrange(len(case.drafts)) if case.drafts else None
    if draft is not None and random.random() < 0.2:
        ended = case.drafts[draft].item
        held = {pk: (item, rev) for pk, (item, rev) in case.held.items() if item != ended}
        left = [each for each in case.drafts if each.item != ended]
        case = replace(case, ended=frozenset({ended}), held=held, drafts=left)
    voice, draft_of = random.choice(VOICES), of_draft
    own = around(own=frozenset({voice}), asked_first=voice)
    twist = random.choice((None, None, own, around(approvers=frozenset({voice}))))
    return draft_of(twist)(case, random) if twist and case.drafts else case
