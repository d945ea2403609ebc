"""A person's mail preferences: their time zone, the hour of their digest, their quiet hours, the kinds they want."""

from __future__ import annotations

import functools
import zoneinfo
from collections.abc import Collection
from datetime import UTC, date, datetime, time, timedelta
from http import HTTPStatus
from typing import Final
from zoneinfo import ZoneInfo

from django.db import transaction

from audit import log
from audit.actions import Action
from audit.context import Principal
from entitlements.errors import DomainError
from entitlements.people.models import Person
from governance.chat.models import ChatConnection
from governance.notices.models import Kind, NoticeSettings

SAFETY: Final = frozenset({Kind.AGENT_STOPPED, Kind.TOOL_QUARANTINED, Kind.EMERGENCY, Kind.CREDENTIAL})
"""Kinds that a person cannot switch off and that do not wait for the end of quiet hours."""


class UnknownTimeZone(DomainError):
    """The time zone is unknown. Use a name from the IANA database, such as Europe/Berlin."""

    code, status = "unknown_time_zone", HTTPStatus.UNPROCESSABLE_ENTITY


class BadHours(DomainError):
    """An hour is a whole number from 0 to 23. Quiet hours need a beginning and an end, and the two must differ."""

    code, status = "bad_hours", HTTPStatus.UNPROCESSABLE_ENTITY


class CannotBeSwitchedOff(DomainError):
    """You cannot switch off mail about safety."""

    code, status = "cannot_be_switched_off", HTTPStatus.UNPROCESSABLE_ENTITY


def for_person(person: Person) -> NoticeSettings:
    """Return a person's settings, or the defaults where they have chosen none."""
    return NoticeSettings.objects.filter(person=person).first() or NoticeSettings(person=person)


@transaction.atomic
def change(
    person: Person,
    *,
    time_zone: str,
    digest_hour: int,
    quiet_from: int | None,
    quiet_until: int | None,
    not_mailed: Collection[str],
    chat_off: Collection[str] | None = None,
    by: Principal,
) -> NoticeSettings:
    """Store a person's settings; an address from which mail came back is tried again. Without `chat_off` it is kept.

    Raises UnknownTimeZone, BadHours, CannotBeSwitchedOff.
    """
    if time_zone not in zones():
        raise UnknownTimeZone
    quiet = [hour for hour in (quiet_from, quiet_until) if hour is not None]
    if len(quiet) == 1 or len(set(quiet)) != len(quiet) or any(not 0 <= hour <= 23 for hour in [digest_hour, *quiet]):  # noqa: PLR2004 - hours
        raise BadHours
    off = sorted({Kind(kind) for kind in not_mailed})
    if SAFETY & set(off):
        raise CannotBeSwitchedOff
    values = {
        "time_zone": time_zone,
        "digest_hour": digest_hour,
        "quiet_from": quiet_from,
        "quiet_until": quiet_until,
        "not_mailed": off,
        **({} if chat_off is None else {"chat_off": sorted({ChatConnection.Service(each) for each in chat_off})}),
    }
    kept, _made = NoticeSettings.objects.update_or_create(person=person, defaults={**values, "bad_address": ""})
    log.record(Action.PERSON_NOTICES_CHANGED, about=[f"person:{person.login}"], by=by, detail=values)
    return kept


@functools.cache
def zones() -> frozenset[str]:
    """Return the names of time zones."""
    return frozenset(zoneinfo.available_timezones())


def is_mailed(settings: NoticeSettings, kind: str) -> bool:
    """Whether a person gets mail of this kind. Mail about safety is always sent."""
    return kind in SAFETY or kind not in settings.not_mailed


def not_before(settings: NoticeSettings, kind: str, now: datetime) -> datetime:
    """Return when an urgent notice goes out: now, or at the end of the person's quiet hours."""
    return now if kind in SAFETY else after_quiet_hours(settings, now)


def after_quiet_hours(settings: NoticeSettings, now: datetime) -> datetime:
    """Return when a person may be mailed: now, or at the end of their quiet hours."""
    begin, end = settings.quiet_from, settings.quiet_until
    if begin is None or end is None:
        return now
    local = now.astimezone(ZoneInfo(settings.time_zone))
    is_quiet = begin <= local.hour < end if begin < end else local.hour >= begin or local.hour < end
    if not is_quiet:
        return now
    day = local.date() + timedelta(days=0 if local.hour < end else 1)
    return at_hour(settings, day, end)


def digest_of(settings: NoticeSettings, now: datetime) -> tuple[date, datetime]:
    """Return the day and the moment of the last digest that is due."""
    today = now.astimezone(ZoneInfo(settings.time_zone)).date()
    moment = at_hour(settings, today, settings.digest_hour)
    if moment <= now:
        return today, moment
    return today - timedelta(days=1), at_hour(settings, today - timedelta(days=1), settings.digest_hour)


def at_hour(settings: NoticeSettings, day: date, hour: int) -> datetime:
    """Return the moment of an hour in the person's time zone; an hour that the clocks skip or repeat comes once."""
    return datetime.combine(day, time(hour), ZoneInfo(settings.time_zone)).astimezone(UTC)
