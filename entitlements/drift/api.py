"""Drift over REST: the detectors, and what each would have found in the last days."""

from __future__ import annotations

from typing import Any, ClassVar, Final

from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from entitlements.api.endpoints import Endpoint
from entitlements.api.fields import OutputSerializer
from entitlements.drift import replay, rules
from entitlements.drift.rules import Detector
from entitlements.errors import Malformed, NotFound
from entitlements.risk import response_policy
from entitlements.risk.rules import Mode
from entitlements.risk.rules import Response as Answer

_LEVELS: Final = ["low", "medium", "high"]
DAYS: Final = "days"


class DriftDetectorSerializer(OutputSerializer):
    """A detector of drift, and how its signals are answered now: `kind` is the one of `signal-responses`."""

    name = serializers.CharField()
    kind = serializers.CharField()
    version = serializers.IntegerField()
    level = serializers.ChoiceField(choices=_LEVELS)
    response = serializers.ChoiceField(choices=[each.value for each in Answer])
    mode = serializers.ChoiceField(choices=[each.value for each in Mode])


class DriftDetectorsSerializer(OutputSerializer):
    """All detectors of drift."""

    results = DriftDetectorSerializer(many=True)


class DriftFindingSerializer(OutputSerializer):
    """What a detector would have found: about whom, and when."""

    at = serializers.DateTimeField()
    about = serializers.CharField()
    reason = serializers.CharField()


class DriftDayFindingsSerializer(OutputSerializer):
    """How much would have been found on a day (UTC)."""

    day = serializers.DateField()
    findings = serializers.IntegerField()


class DriftReplaySerializer(DriftDetectorSerializer):
    """What a detector would have found in the last days.

    `since` is when what it reads begins, `is_cut` says that the oldest events were left out. `results` are the newest
    hundred findings.
    """

    since = serializers.DateTimeField()
    until = serializers.DateTimeField()
    findings = serializers.IntegerField()
    subjects = serializers.IntegerField()
    is_cut = serializers.BooleanField()
    by_day = DriftDayFindingsSerializer(many=True)
    results = DriftFindingSerializer(many=True)


class DriftDetectors(Endpoint):
    """List the detectors of drift.

    Each begins in observe; two people switch one on by a signal response of its kind.
    """

    @extend_schema(responses=DriftDetectorsSerializer)
    def get(self, request: Request) -> Response:  # noqa: ARG002 - the framework's signature
        """Return all of them."""
        return Response(DriftDetectorsSerializer({"results": [described(each) for each in rules.DETECTORS]}).data)


class DriftReplay(Endpoint):
    """Replay a detector of drift over the last days.

    Nothing is noted. Agents and people are taken as they are now.
    """

    parameters: ClassVar[frozenset[str]] = frozenset({DAYS})

    @extend_schema(
        parameters=[OpenApiParameter(DAYS, int, description="1 to 90; 28 where it is left out.")],
        responses=DriftReplaySerializer,
    )
    def get(self, request: Request, key: str) -> Response:
        """Return what it would have found."""
        detector = named(key)
        found = replay.run(detector, days_of(request.query_params.get(DAYS, "")))
        names = ("since", "until", "findings", "subjects", "is_cut")
        data = {
            **described(detector),
            **{name: getattr(found, name) for name in names},
            "by_day": [{"day": day, "findings": count} for day, count in found.by_day.items()],
            "results": found.shown,
        }
        return Response(DriftReplaySerializer(data).data)


def described(detector: Detector) -> dict[str, Any]:
    """Return a detector with how its signals are answered now."""
    policy = response_policy.current(detector.kind)
    return {
        "name": detector.name,
        "kind": detector.kind.value,
        "version": detector.version,
        "level": detector.level.value,
        "response": policy.response.value,
        "mode": policy.mode.value,
    }


def named(name: str) -> Detector:
    """Return the detector of a name. Raises NotFound."""
    if name not in rules.NAMED:
        raise NotFound
    return rules.NAMED[name]


def days_of(given: str) -> int:
    """Read how many days are replayed. Raises Malformed."""
    if not given:
        return replay.USUAL
    if not (given.isascii() and given.isdigit() and 1 <= int(given[:4]) <= replay.LONGEST):
        raise Malformed("The number of days is a whole number from 1 to 90.", field=DAYS)
    return int(given)


ADDRESSES: Final = (
    ("drift-detectors", DriftDetectors, "drift-detectors"),
    ("drift-detectors/<slug:key>", DriftReplay, "drift-detector"),
)
"""Address, view and name of each, as the API mounts them."""
