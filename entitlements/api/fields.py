"""Fields and the strict base of what comes in: nothing unknown, nothing of another type, nothing guessed."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta
from typing import Any, Final

from django.utils.dateparse import parse_duration
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import extend_schema_field
from rest_framework import serializers
from rest_framework.exceptions import ErrorDetail, ValidationError

from entitlements.definitions.primitives import LONGEST_NAME

_LONGEST: Final = timedelta(days=3660)


class InputSerializer(serializers.Serializer[Any]):
    """A body whose unknown fields are errors: what is ignored today is a right tomorrow."""

    def to_internal_value(self, data: Any) -> Any:  # noqa: ANN401 - the framework's signature
        """Read the body. Raises ValidationError, with the code `unknown_field` for each unknown name."""
        if isinstance(data, Mapping):
            known = {str(field.field_name) for field in self._writable_fields}
            unknown = sorted(set(data) - known)
            if unknown:
                raise ValidationError(
                    {name: [ErrorDetail("This field is not known here.", code="unknown_field")] for name in unknown}
                )
        return super().to_internal_value(data)


class EmptyInputSerializer(InputSerializer):
    """The body of what takes none: whatever it names was meant to change something, and would not."""


class OutputSerializer(serializers.Serializer[Any]):
    """A representation: it only goes out."""


class Text(serializers.CharField):
    """Text that came as text: a number is not its digits."""

    def to_internal_value(self, data: Any) -> str:  # noqa: ANN401 - as above
        """Refuse everything but a string."""
        if not isinstance(data, str):
            self.fail("invalid")
        return super().to_internal_value(data)


class Ticket(Text):
    """The reference of a ticket, which may be left out; what it looks like is checked by the action."""

    def __init__(self, **kwargs: Any) -> None:  # noqa: ANN401 - as above
        super().__init__(**{"max_length": 64, "required": False, "allow_blank": True, "default": "", **kwargs})


class Slug(serializers.SlugField):
    """A name for machines: lower case letters, digits and hyphens."""

    def __init__(self, **kwargs: Any) -> None:  # noqa: ANN401 - as above
        super().__init__(**{"max_length": 64, **kwargs})

    def to_internal_value(self, data: Any) -> str:  # noqa: ANN401 - as above
        """Refuse what is not in the one canonical form, so that no two names look alike."""
        if not isinstance(data, str) or data != data.lower() or "_" in data:
            self.fail("invalid")
        return super().to_internal_value(data)


@extend_schema_field(OpenApiTypes.DURATION)
class Lasts(serializers.Field[timedelta, str, str, Any]):
    """A length of time as ISO 8601 writes it: `PT8H`, `P90D`."""

    default_error_messages: Final = {"invalid": "Write a positive ISO 8601 duration, like PT8H or P90D."}  # type: ignore[misc]

    def to_internal_value(self, data: Any) -> timedelta:  # noqa: ANN401 - as above
        """Read a duration; months and years, which have no fixed length, are refused."""
        try:
            duration = parse_duration(data) if isinstance(data, str) and data.startswith("P") else None
        except (ValueError, OverflowError):
            duration = None
        if duration is None or not timedelta(0) < duration <= _LONGEST:
            self.fail("invalid")
        return duration

    def to_representation(self, value: timedelta) -> str:
        """Write a duration."""
        return duration(value)


def duration(value: timedelta) -> str:
    """Write a positive duration the shortest way in ISO 8601: days, then hours, minutes and seconds."""
    minutes, seconds = divmod(value.seconds, 60)
    hours, minutes = divmod(minutes, 60)
    clock = "".join(f"{amount}{unit}" for amount, unit in ((hours, "H"), (minutes, "M"), (seconds, "S")) if amount)
    day = f"{value.days}D" if value.days else ""
    return f"P{day}{'T' if clock else ''}{clock}" if day or clock else "PT0S"


class ReasonInputSerializer(InputSerializer):
    """Why something is done; the audit log keeps it."""

    reason = Text(max_length=500)


class StopInputSerializer(ReasonInputSerializer):
    """Why something is suspended or revoked, and the ticket that it belongs to."""

    ticket = Ticket()


class LineShown(OutputSerializer):
    """One tool and its limits."""

    tool = serializers.CharField(source="tool.name")
    limits = serializers.JSONField()


class LineInputSerializer(InputSerializer):
    """One tool by name, and its limits."""

    tool = Text(max_length=LONGEST_NAME)
    limits = serializers.DictField(default=dict)
