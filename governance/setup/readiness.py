"""Whether an installation may hold high-risk access: company sign-in, two administrators, an anchored audit log.

Read again each time from the current rows, so that a lost condition shows at once. docs/decisions/0012 says why.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from http import HTTPStatus
from typing import Any, Final

from allauth.mfa.models import Authenticator
from django.conf import settings
from django.db.models import F, Min
from django.utils.translation import gettext as _

from audit import chain, clock
from audit.models import AnchorState, Checkpoint
from entitlements.errors import DomainError
from entitlements.people import mailboxes
from entitlements.people.models import Identity, Person, Role
from entitlements.trusted_issuers.models import TrustedIssuer
from entitlements.words import Risk
from governance.setup.models import SetupCheck

type Line = SetupCheck.Line

NEEDED: Final = (SetupCheck.Line.SIGN_IN, SetupCheck.Line.SECOND_ADMIN, SetupCheck.Line.ANCHOR)
"""The lines without which high-risk access is refused."""
SILENCE: Final = timedelta(minutes=15)
"""How long nothing may reach the anchor; the sealer publishes every five minutes even when nothing happens."""
_ADMINISTRATORS: Final = 2


class SetupIncomplete(DomainError):
    """High-risk access needs a complete set-up: company sign-in, a second administrator and the anchor."""

    code, status = "setup_incomplete", HTTPStatus.CONFLICT


class Progress(StrEnum):
    """How far a line is."""

    GREEN = "green"
    NOT_YET = "not_yet"
    FAILED = "failed"


@dataclass(frozen=True, slots=True)
class State:
    """How far one line of the set-up page is, since when, and why it is no further."""

    line: Line
    word: Progress
    sentence: str
    since: datetime | None = None

    @property
    def is_green(self) -> bool:
        """Whether the line is done."""
        return self.word == Progress.GREEN


def check_allows(risk: str) -> None:
    """Check a risk level. Raises SetupIncomplete for high and critical while a needed line is missing."""
    if Risk(risk).rank >= Risk.HIGH.rank and (lacking := missing()):
        raise SetupIncomplete(missing=[state.line.value for state in lacking])


def missing() -> list[State]:
    """Return the needed lines that are not green; none where the set-up is taken as done."""
    if not settings.SETUP_FIRST or is_demo():
        return []
    return [state for state in needed() if not state.is_green]


def needed() -> list[State]:
    """Return the states of the lines without which nothing weighty is granted."""
    return [sign_in(), second_admin(), anchor()]


def is_demo() -> bool:
    """Whether this is a demo that says so; the row alone, without DEMO, opens nothing."""
    return bool(settings.DEMO) and SetupCheck.objects.filter(line=SetupCheck.Line.DEMO).exists()


def last_test(line: Line) -> SetupCheck | None:
    """Return the result of the last test of a line."""
    return SetupCheck.objects.filter(line=line).select_related("by").first()


def sign_in() -> State:
    """Return whether the company's provider was tested as configured now, is trusted, and has signed in a person."""
    line, issuer = SetupCheck.Line.SIGN_IN, settings.OIDC_ISSUER
    if not issuer:
        return State(line, Progress.NOT_YET, _("OIDC_ISSUER is not set."))
    tested = last_test(line)
    if tested is None or tested.subject != issuer:
        return State(line, Progress.NOT_YET, _("%(issuer)s was not tested yet.") % {"issuer": issuer})
    if not tested.passed:
        return State(line, Progress.FAILED, tested.sentence)
    if not TrustedIssuer.objects.filter(issuer=issuer, enabled=True, purpose=TrustedIssuer.Purpose.IDENTITY).exists():
        return State(line, Progress.NOT_YET, _("%(issuer)s answers, and is not trusted yet.") % {"issuer": issuer})
    first = _came_in(issuer)
    if first is None:
        return State(
            line, Progress.NOT_YET, _("%(issuer)s is trusted; no person has signed in by it yet.") % {"issuer": issuer}
        )
    who, when = first
    return State(
        line, Progress.GREEN, _("%(name)s has come in by it.") % {"name": who}, max(when, tested.since or when)
    )


def _came_in(issuer: str) -> tuple[str, datetime] | None:
    """Return the first person who signed in at the company, and when."""
    known = Identity.objects.filter(
        issuer__issuer=issuer,
        issuer__enabled=True,
        person__is_active=True,
        person__socialaccount__uid=F("subject"),
        person__socialaccount__provider="company",
    )
    row = known.order_by("person__socialaccount__date_joined").values_list(
        "person__name", "person__socialaccount__date_joined"
    )
    return row.first()


def administrators() -> list[tuple[Person, datetime]]:
    """Return the administrators who can sign in with a second factor, each with when they first had one.

    Of several accounts of one human the first counts.
    """
    factors: dict[str, Any] = {
        "authenticator__type__in": [Authenticator.Type.TOTP, Authenticator.Type.WEBAUTHN],
    }
    rows = Person.objects.holding(Role.ADMIN).filter(**factors).annotate(factor_at=Min("authenticator__created_at"))
    humans: dict[str, tuple[Person, datetime]] = {}
    for person in rows.order_by("factor_at"):
        humans.setdefault(mailboxes.human(person.email, person.login), (person, person.factor_at))
    return list(humans.values())


def second_admin() -> State:
    """Return whether two administrators have a second factor, so that one can invite the other again."""
    line, admins = SetupCheck.Line.SECOND_ADMIN, administrators()
    if len(admins) < _ADMINISTRATORS:
        sentence = _("%(n)d of 2 administrators have a second factor.") % {"n": len(admins)}
        return State(line, Progress.NOT_YET, sentence)
    names = ", ".join(person.name for person, _when in admins)
    sentence = _("%(names)s have a second factor.") % {"names": names}
    return State(line, Progress.GREEN, sentence, admins[_ADMINISTRATORS - 1][1])


def anchor() -> State:
    """Return whether the newest checkpoints are outside the database, as the sealer last saw each anchor."""
    states = [state for _name, state in anchors()]
    if not states:
        return State(SetupCheck.Line.ANCHOR, Progress.NOT_YET, _("No sealer has looked at an anchor yet: start it."))
    return next((state for state in states if not state.is_green), states[0])


def anchors() -> list[tuple[str, State]]:
    """Return each anchor's name and state, as the sealer last saw it."""
    return [(seen.name, _anchor(seen)) for seen in AnchorState.objects.order_by("name")]


def _anchor(seen: AnchorState) -> State:
    """Return the state of one anchor, as the sealer last saw it."""
    line = SetupCheck.Line.ANCHOR
    problem, kept = seen.problem, None
    try:
        kept = chain.Checkpoint.parse(seen.note.partition("\n\n")[0] + "\n") if seen.note else None
    except chain.BadNote as bad:
        problem = str(bad)
    if problem:
        return State(line, Progress.FAILED, _("The anchor cannot be read: %(problem)s.") % {"problem": problem})
    if kept is None:
        return State(line, Progress.NOT_YET, _("No checkpoint has reached the anchor yet."))
    return _compare(kept)


def _compare(kept: chain.Checkpoint) -> State:
    """Hold the anchor's newest checkpoint against the database, allowing for what is on its way."""
    line, now = SetupCheck.Line.ANCHOR, clock.now()
    checkpoint = Checkpoint.objects.filter(size=kept.size).first()
    if kept.size and (checkpoint is None or bytes(checkpoint.root) != kept.root):
        sentence = _("The anchor and the database disagree about the first %(n)d events.") % {"n": kept.size}
        return State(line, Progress.FAILED, sentence)
    due = Checkpoint.objects.filter(signed_at__lte=now - SILENCE, size__gt=kept.size)
    if due.exists() or _signed(kept) < now - SILENCE:
        sentence = _("No checkpoint has reached the anchor for %(n)d minutes: look at the sealer.")
        return State(line, Progress.FAILED, sentence % {"n": SILENCE.total_seconds() // 60})
    began = Checkpoint.objects.order_by("size").values_list("signed_at", flat=True).first()
    sentence = _("The anchor has the first %(n)d events.") % {"n": kept.size}
    return State(line, Progress.GREEN, sentence, began)


def _signed(kept: chain.Checkpoint) -> datetime:
    """Return when a checkpoint says that it was signed; one that does not say is as old as can be."""
    try:
        return datetime.fromisoformat(kept.signed_at).astimezone(UTC)
    except ValueError:
        return datetime.min.replace(tzinfo=UTC)
