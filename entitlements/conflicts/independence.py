"""What needs a second person: to start again what one stopped, and to take an office that answers for others.

Asked by the verbs themselves, so that no door can leave it out. What the product does by itself needs no second person;
a script is no second person, since the person to be checked may hold its secret.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterable
from http import HTTPStatus

from django.db.models import Expression, F, Func, TextField, Value

from audit import context
from audit.actions import Action
from audit.context import SYSTEM, Principal
from audit.export import timeline
from entitlements.errors import DomainError, Forbidden
from entitlements.people.models import Person, Role


class SecondPersonNeeded(Forbidden):
    """You cannot start this again because you stopped it; ask a second person."""

    code = "second_person_required"


class SelfAppointment(DomainError):
    """You cannot make yourself owner, sponsor or member, nor change your own address; ask another person."""

    code, status = "self_appointment", HTTPStatus.FORBIDDEN


class ProposerGone(DomainError):
    """You cannot confirm this: who proposed it has left or lost the right to. The proposal has lapsed; propose it anew.

    `end` ends the proposal, once the transaction that this undoes is over.
    """

    code, status = "proposer_gone", HTTPStatus.CONFLICT

    def __init__(self, end: Callable[[str], object]) -> None:
        super().__init__()
        self.end = functools.partial(end, "Who proposed it has left or lost the right to.")


def accounts_of(person: Person) -> list[Person]:
    """Return every account of one human, this one first: those whose addresses lead to one mailbox, active or not.

    The database's function `entitlements_mailbox` decides which addresses do, the rule of `mailboxes.mailbox`.
    What stands against one account stands against all of them: a second account is no second person.
    """
    if not person.email:
        return [person]
    rows = Person.objects.alias(box=mailbox(F("email"))).filter(box=mailbox(Value(person.email)))
    return [person, *rows.exclude(pk=person.pk).order_by("pk")]


def mailbox(email: Expression | F) -> Func:
    """Return the mailbox of a column of addresses, by the database's function."""
    return Func(email, function="entitlements_mailbox", output_field=TextField())


def same_human(one: Person | None, other: Person | None) -> bool:
    """Whether two accounts are one human's; no account is the same as none."""
    return one is not None and other is not None and other in accounts_of(one)


def check_second(
    proposer: Person | None,
    by: Person,
    *,
    still_may: Callable[[Person], bool],
    own: type[DomainError],
    lapse: Callable[..., object],
) -> None:
    """Refuse to confirm one's own proposal, and that of a person who left or could not propose it any longer.

    The one rule of every kind of proposal. `lapse` withdraws it, as who would have confirmed it. Raises `own`,
    ProposerGone.
    """
    if same_human(proposer, by):
        raise own
    if proposer is None or not (proposer.is_active and still_may(proposer)):
        raise ProposerGone(lambda reason: lapse(by=by, reason=reason))


def check_start(link: str, stopped: Action, by: Principal, **detail: object) -> None:
    """Refuse to undo one's own stop: the record says who stopped the thing last. Raises SecondPersonNeeded.

    `detail` is what the detail of a stop holds, where its action tells of other things too.
    """
    if by == SYSTEM:
        return
    stops = timeline.about(link).filter(action=stopped)
    if detail:
        fitting = (each for each in stops.reverse() if detail.items() <= each.detail.items())
        last = next(fitting, None)
    else:
        last = stops.last()
    if by.kind != "person" or (last is not None and last.actor in _names_of(by)):
        raise SecondPersonNeeded


def check_restart(link: str, stopped: Action, started: Action, by: Principal) -> None:
    """Refuse to start a thing that one stopped oneself, with whichever account, alone or with others.

    Raises SecondPersonNeeded, which is also for what is no person.
    """
    if by != SYSTEM and (by.kind != "person" or stopped_by(link, stopped, started) & _names_of(by)):
        raise SecondPersonNeeded


def stopped_by(link: str, stopped: Action, started: Action) -> set[str]:
    """Return whose stops hold a thing: those who stopped it since it was last started, as the record names them."""
    who: set[str] = set()
    for event in timeline.about(link).filter(action__in=(stopped, started)):
        who = who | {event.actor} if event.action == stopped else set()
    return who


def _names_of(by: Principal) -> set[str]:
    """Name every account of the person who acts, as the audit log names them."""
    acts = Person.objects.filter(login=by.name).first()
    return {str(by), *(str(each.principal) for each in (accounts_of(acts) if acts else ()))}


def check_appointment(new: Person, *, present: Person | None, by: Principal) -> None:
    """Refuse an office that a person gives to an account of theirs, or may not give.

    Raises SelfAppointment.
    """
    if by == SYSTEM or (by.kind == "person" and present is not None and by.name == present.login != new.login):
        return
    roles = (Role.ANALYST, Role.ADMIN)
    own = [account.pk for account in accounts_of(new)]
    second = Person.objects.holding(*roles).filter(login=by.name).exclude(pk__in=own)
    if by.kind != "person" or not second.exists():
        raise SelfAppointment


def check_membership(people: Iterable[Person], *, by: Principal) -> None:
    """Refuse to put an account of one's own into a group, or to take it out: a group has access, and may answer.

    A script does neither for a person behind it (see `behind`), an agent for no person. Raises SelfAppointment.
    """
    if by == SYSTEM or by.kind == "source":
        return
    acting = Person.objects.filter(login__in=behind(by))
    own = {account.pk for person in acting for account in accounts_of(person)}
    if by.kind == "agent" or any(person.pk in own for person in people):
        raise SelfAppointment


def behind(by: Principal) -> set[str]:
    """Name by login who acts: a person, or whom a script acts for, who registered it, or who has held its secret."""
    made = [Action.CLIENT_REGISTERED, Action.CLIENT_SECRET_ROTATED, Action.CLIENT_KEYS_REPLACED]
    events = timeline.about(str(by)).filter(action__in=made)
    shown = [Principal.parse(event.actor) for event in events] if by.kind == "client" else []
    acting = [by, context.current().on_behalf_of, *shown]
    return {each.name for each in acting if each is not None and each.kind == "person"}


def check_address(person: Person, *, by: Principal) -> None:
    """Refuse to change the address of an account of one's own: it says whose account it is. Raises SelfAppointment."""
    if by == SYSTEM or by.kind == "source":
        return
    if by.kind != "person" or by.name in {each.login for each in accounts_of(person)}:
        raise SelfAppointment
