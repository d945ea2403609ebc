"""Messages to the person who must decide: queued with the notice, tried as mail is, and paused as the service asks.

The attempt is stored before the message leaves, as with mail: a worker that is killed between the two sends it twice.
What does not arrive is in the inbox and in the mail all the same.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime, timedelta
from typing import Final

from django.db.models import Min

from audit import clock
from entitlements.errors import DomainError
from entitlements.people.models import Person
from governance.chat.models import ChatAccount, ChatConnection
from governance.mail import outbox, preferences
from governance.notices.models import Delivery, Notice, NoticeSettings

from . import connections, messages, slack, teams
from .refusals import ChatRefused, NoAccount, ServiceBusy

KNOWN_FOR: Final = timedelta(days=7)
"""How long an account that was found is not looked up again."""
UNKNOWN_FOR: Final = timedelta(days=1)
"""The same for a person who has none."""
_State = Delivery.State


def queue(notices: Iterable[Notice]) -> int:
    """Queue new notices for each connected service in which their person wants messages; return how many.

    Needs the transaction of the notices. A notice is queued once for a service.
    """
    services = list(ChatConnection.objects.values_list("service", flat=True))
    if not services:
        return 0
    now, queued = clock.now(), []
    notices = list(notices)
    people = [notice.person_id for notice in notices]
    choices = {chosen.person_id: chosen for chosen in NoticeSettings.objects.filter(person__in=people)}
    for notice in notices:
        chosen = choices.get(notice.person_id) or NoticeSettings(person=notice.person)
        queued += [
            Delivery(
                channel=service,
                dedupe=f"{service} notice {notice.pk}",
                person=notice.person,
                notice=notice,
                next_at=preferences.not_before(chosen, notice.kind, now),
                made_at=now,
            )
            for service in services
            if service not in chosen.chat_off
        ]
    return len(Delivery.objects.bulk_create(queued, ignore_conflicts=True))


def send_next() -> bool:
    """Send the due message that has waited longest, of a service that is not paused; return whether there was one."""
    usable = {connection.service: connection for connection in connections.usable()}
    due = Delivery.objects.filter(channel__in=usable).select_related("person", "notice")
    claimed = outbox.claim(due) if usable else None
    if claimed is None:
        return False
    connection = usable[claimed.channel]
    try:
        _send(claimed, connection)
    except ServiceBusy as busy:
        until = clock.now() + timedelta(seconds=busy.seconds)
        ChatConnection.objects.filter(pk=connection.pk).update(paused_until=until)
        outbox.mine(claimed).update(next_at=until, answer=f"Asked to wait for {busy.seconds} seconds.")
    except NoAccount as missing:
        _drop(claimed, missing.message)
    except DomainError as problem:
        answer = problem.answer if isinstance(problem, ChatRefused) else problem.message
        connections.note_error(connection, answer)
        outbox.failed(claimed, answer)
    return True


def next_due() -> datetime | None:
    """Return when the next message is due, and its service not paused."""
    paused = dict(ChatConnection.objects.values_list("service", "paused_until"))
    waiting = Delivery.objects.filter(channel__in=paused, state=_State.WAITING)
    firsts = dict(waiting.values_list("channel").annotate(Min("next_at")))
    return min((max(at, paused[service] or at) for service, at in firsts.items()), default=None)


def _send(claimed: Delivery, connection: ChatConnection) -> None:
    if not claimed.person.is_active:
        _drop(claimed, "This person has left.")
        return
    text = messages.write(claimed, names_shown=connection.names_shown)
    if text is None:
        _drop(claimed, "It was decided before the message left.")
        return
    account = account_of(connection, claimed.person)
    try:
        _post(connection, account, text)
    except NoAccount:  # it has gone since it was found
        _keep(connection, claimed.person, "")
        raise
    outbox.mine(claimed).update(state=_State.SENT, sent_at=clock.now(), answer="")
    connections.note_error(connection, "")


def _post(connection: ChatConnection, account: str, text: messages.Text) -> None:
    if connection.service == ChatConnection.Service.SLACK:
        slack.post(connections.token(connection), account, messages.for_slack(text))
    else:
        teams.post(_credentials(connection), account, messages.for_teams(text))


def _look_up(connection: ChatConnection, email: str) -> str:
    if connection.service == ChatConnection.Service.SLACK:
        return slack.account(connections.token(connection), email)
    return teams.account(_credentials(connection), email)


def _credentials(connection: ChatConnection) -> teams.Credentials:
    return teams.Credentials(connection.app_id, connection.tenant, connections.token(connection))


def _drop(claimed: Delivery, why: str) -> None:
    """End a delivery that needs no other attempt; its notice is in the inbox."""
    outbox.mine(claimed).update(state=_State.DEAD, answer=why)


def account_of(connection: ChatConnection, person: Person) -> str:
    """Return a person's account at a service, as it was found lately or is found now. Raises NoAccount, as `_find`."""
    known = ChatAccount.objects.filter(connection=connection, person=person, email=person.email).first()
    if known is not None and clock.now() - known.looked_up_at < (KNOWN_FOR if known.account else UNKNOWN_FOR):
        if not known.account:
            raise NoAccount
        return known.account
    try:
        account = _look_up(connection, person.email) if person.email else ""
    except NoAccount:
        account = ""
    _keep(connection, person, account)
    if not account:
        raise NoAccount
    return account


def _keep(connection: ChatConnection, person: Person, account: str) -> None:
    values = {"email": person.email, "account": account, "looked_up_at": clock.now()}
    ChatAccount.objects.update_or_create(connection=connection, person=person, defaults=values)
