"""The workbench: a reviewer's items with their use beside them, drafts that are kept, and submitting with a summary."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, time, timedelta
from typing import Any, Final
from uuid import UUID

from django.http import HttpRequest, HttpResponse, JsonResponse
from django.shortcuts import redirect, render
from django.utils.dateparse import parse_date
from django.utils.translation import gettext as _
from django.utils.translation import ngettext
from django.views.decorators.http import require_http_methods, require_POST

from audit import clock
from entitlements.errors import DomainError, Malformed, NotFound
from entitlements.words import Risk
from governance import reviewing, reviews
from governance.console import doors, paging, stepup
from governance.console.queries import reviews as read
from governance.console.tags import REASONS
from governance.models import Campaign, Draft, ReviewDecision, ReviewItem
from governance.reviews import Answer

from .reviews import found

SIZE: Final = 60
"""How many items stand on one page."""


@require_http_methods(["GET", "HEAD", "POST"])
@doors.page
def work(request: HttpRequest, slug: str) -> HttpResponse:
    """Show the reviewer's items; without script the whole page is saved at once."""
    campaign, person = found(request, slug), doors.person(request)
    items = read.assigned(campaign, person)
    if not items.exists():
        raise NotFound
    if request.method == "POST":
        return _save_page(request, campaign)
    view = request.GET.get("view", "")
    waiting, answered = read.to_answer(campaign, person), read.answered_by(campaign, person)
    page = paging.page(request, answered if view == "answered" else waiting, ("number", "id"), SIZE)
    drafts = reviews.drafts_of(campaign, person)
    told: dict[str, Any] = {
        "campaign": campaign,
        "page": page,
        "rows": read.rows(page.rows, person),
        "view": view,
        "all": items.count(),
        "drafted": drafts.count(),
        "open": waiting.count(),
        "answered": answered.count(),
        "saved_at": drafts.order_by("-saved_at").values_list("saved_at", flat=True).first(),
        "keep": _options(reviewing.KEEP),
        "drop": _options(reviewing.DROP),
        "abstain": _options(reviewing.ABSTAIN),
        "soonest": (clock.now() + timedelta(days=1)).date().isoformat(),
        "reasons": REASONS,
        "is_open": campaign.state == Campaign.State.ACTIVE,
    }
    return render(request, "console/reviews/work.html", told)


def _options(codes: tuple[str, ...]) -> list[tuple[str, Any]]:
    return [(code, REASONS[code]) for code in codes]


def _save_page(request: HttpRequest, campaign: Campaign) -> HttpResponse:
    """Save every row of the form that differs from what is kept; one that somebody changed meanwhile is named."""
    person, stale, saved = doors.person(request), 0, 0
    mine = {str(row.item.pk): row for row in read.rows(list(read.to_answer(campaign, person)), person)}
    for name in request.POST.getlist("item"):
        row = mine.get(name)
        if row is None or row.item.state != ReviewItem.State.IN_REVIEW:
            continue
        try:
            answer = _answer(request, name)
            if answer == _kept(row.draft):
                continue
            reviews.save_draft(row.item.pk, answer, by=person, rev=_rev(request, name))
            saved += 1
        except DomainError as refusal:
            doors.record(request, refusal)
            stale += 1
    if stale:
        doors.done(request, _("Some answers could not be kept: they changed elsewhere or have the wrong reason."))
    if "submit" in request.POST:
        return redirect(f"/reviews/{campaign.slug}/submit/")
    doors.done(request, ngettext("%(n)d answer is kept.", "%(n)d answers are kept.", saved) % {"n": saved})
    return redirect(request.get_full_path())


def _kept(draft: Draft | None) -> Answer:
    if draft is None:
        return Answer()
    kept = tuple(sorted(draft.kept_lines)) if draft.verb == reviewing.Verb.REDUCE else ()
    limits = {int(line): caps for line, caps in draft.limits.items()}
    return Answer(draft.verb, draft.reason_code, draft.comment, kept, limits, draft.valid_until)


def _answer(request: HttpRequest, name: str) -> Answer:
    """Read one answer of the form. Ticked lines count only where some are kept. Raises Malformed."""
    given = {part: request.POST.get(f"{part}:{name}", "").strip() for part in ("verb", "reason", "comment", "until")}
    lines = request.POST.getlist(f"keep:{name}")
    if not all(line.isascii() and line.isdigit() for line in lines):
        raise Malformed
    verb = given["verb"]
    kept = tuple(sorted(int(line) for line in lines)) if verb == reviewing.Verb.REDUCE else ()
    until = None
    if given["until"] and verb in (reviewing.Verb.CERTIFY, reviewing.Verb.REDUCE):
        try:
            day = parse_date(given["until"])
        except ValueError as error:
            raise Malformed from error
        until = datetime.combine(day, time.max, UTC) if day else None
    return Answer(verb, given["reason"], given["comment"][:2000], kept, valid_until=until)


def _rev(request: HttpRequest, name: str) -> int:
    digits = request.POST.get(f"rev:{name}", "0")
    if not (digits.isascii() and digits.isdigit() and len(digits) < 10):  # noqa: PLR2004 - a revision
        raise Malformed
    return int(digits)


@require_POST
@doors.page
def draft(request: HttpRequest, slug: str, item: UUID) -> HttpResponse:
    """Keep one answer as it is changed; a script asks, and gets the next revision or what stands in the way."""
    campaign, person = found(request, slug), doors.person(request)
    name = str(item)
    try:
        kept = reviews.save_draft(item, _answer(request, name), by=person, rev=_rev(request, name))
    except DomainError as refusal:
        doors.record(request, refusal)
        return JsonResponse({"code": refusal.code, "message": str(refusal.message)}, status=refusal.status)
    count = reviews.drafts_of(campaign, person).count()
    return JsonResponse({"rev": kept.rev, "saved_at": kept.saved_at.isoformat(), "drafted": count})


@require_POST
@doors.page
def recall(request: HttpRequest, slug: str, item: UUID) -> HttpResponse:
    """Take one's own answer back; it is a draft again."""
    found(request, slug)
    reviews.recall(item, by=doors.person(request))
    doors.done(request, _("The answer is taken back: it is a draft again, and what it cut works."))
    return redirect(f"/reviews/{slug}/work/#item-{item}")


@require_http_methods(["GET", "HEAD", "POST"])
@doors.page
def submit(request: HttpRequest, slug: str) -> HttpResponse:
    """Say what submitting will do; then do it, and prove the removals."""
    campaign, person = found(request, slug), doors.person(request)
    drafts = read.drafted(campaign, person)
    problem: DomainError | None = None
    if request.method == "POST":
        if any(each.assignment.item.risk == Risk.CRITICAL for each in drafts):
            stepup.demand(request)
        try:
            done = reviews.submit(
                campaign.pk, by=person, via=ReviewDecision.Via.UI, tag=request.POST.get("tag", ""), amr=_amr(request)
            )
        except DomainError as refusal:
            doors.record(request, refusal)
            problem = refusal
        else:
            proven = [reviews.prove(decision) for decision in done.removals]
            doors.done(request, _told(len(done.decided), len(proven), sum(each.state == "verified" for each in proven)))
            return redirect(f"/reviews/{slug}/")
    return render(request, "console/reviews/submit.html", _summary(campaign, drafts, request, problem))


def _amr(request: HttpRequest) -> list[str]:
    """Name how the person proved who she is, as her sign-in says."""
    proofs = request.session.get("account_authentication_methods", [])
    return sorted({str(proof.get("method", ""))[:32] for proof in proofs if proof.get("method")})


def _told(decided: int, removals: int, proven: int) -> str:
    told = ngettext("%(n)d answer counts now.", "%(n)d answers count now.", decided) % {"n": decided}
    if not removals:
        return told
    told = f"{told} " + _("You can take them back for 15 minutes.")
    return f"{told} " + _("%(proven)d of %(removals)d removals are proven.") % {"proven": proven, "removals": removals}


@dataclass(frozen=True, slots=True)
class _Said:
    """One drafted answer beside its item."""

    draft: Draft
    row: read.Row

    @property
    def why(self) -> object:
        """The reason in words; empty where none was given."""
        return REASONS.get(self.draft.reason_code, "")

    @property
    def dropped(self) -> list[dict[str, Any]]:
        """The lines that the answer takes away."""
        keeps = self.draft.verb in (reviewing.Verb.CERTIFY, reviewing.Verb.ABSTAIN)
        return [] if keeps else [line for line in self.row.lines if line["row"].pk not in self.draft.kept_lines]

    @property
    def calls(self) -> int:
        """How often the tools were called that it takes away."""
        return sum(line["row"].calls_window or 0 for line in self.dropped)

    @property
    def lacks_reason(self) -> bool:
        """Whether it needs a reason and has none."""
        needed = reviewing.needs_reason(reviewing.Verb(self.draft.verb), Risk(self.row.item.risk))
        return needed and not self.draft.reason_code


def _summary(
    campaign: Campaign, drafts: list[Draft], request: HttpRequest, problem: DomainError | None
) -> dict[str, Any]:
    person = doors.person(request)
    mine = read.to_answer(campaign, person).filter(pk__in=[each.assignment.item_id for each in drafts])
    items = {row.item.pk: row for row in read.rows(list(mine), person)}
    rows = [_Said(each, items[each.assignment.item_id]) for each in drafts]
    order = [reviewing.Verb.REVOKE, reviewing.Verb.REDUCE, reviewing.Verb.CERTIFY, reviewing.Verb.ABSTAIN]
    rows.sort(key=lambda each: order.index(reviewing.Verb(each.draft.verb)))
    by_verb = {verb.value: [each for each in rows if each.draft.verb == verb] for verb in order}
    cut = [*by_verb["revoke"], *by_verb["reduce"]]
    return {
        "campaign": campaign,
        "problem": problem,
        "rows": rows,
        "removed": by_verb["revoke"],
        "reduced": by_verb["reduce"],
        "cut": cut,
        "kept": len(by_verb["certify"]),
        "passed": len(by_verb["abstain"]),
        "label": _label({verb: len(said) for verb, said in by_verb.items()}),
        "people": len({name for each in cut for name in each.row.item.subjects}),
        "calls": sum(each.calls for each in cut),
        "blind": sum(not each.row.is_seen for each in cut),
        "missing": [each for each in rows if each.lacks_reason],
        "tag": reviews.drafts_tag(campaign, person),
    }


def _label(counts: dict[str, int]) -> str:
    """Say on the button what it does."""
    if counts["certify"] == sum(counts.values()):
        return ngettext("Keep %(n)d access", "Keep %(n)d accesses", counts["certify"]) % {"n": counts["certify"]}
    if not counts["reduce"] and not counts["abstain"]:
        return _("Keep %(kept)d, remove %(removed)d") % {"kept": counts["certify"], "removed": counts["revoke"]}
    parts = (
        (_("keep %(n)d"), counts["certify"]),
        (_("keep part of %(n)d"), counts["reduce"]),
        (_("remove %(n)d"), counts["revoke"]),
        (_("pass on %(n)d"), counts["abstain"]),
    )
    said = ", ".join(text % {"n": count} for text, count in parts if count)
    return said[:1].upper() + said[1:]
