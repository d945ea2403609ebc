"""Every event name: subject.happened. One line each, by subject; a name once published never changes its meaning."""

from enum import StrEnum


class Action(StrEnum):
    """What happened. The value is what the record, the API and the exports say."""

    AUTHENTICATION_FAILED = "authentication.failed"
    PRODUCER_ENDED = "producer.ended"
    RECORD_EXPORTED = "record.exported"
    REQUEST_REFUSED = "request.refused"
    REFUSED = REQUEST_REFUSED  # an alias: what a door records when the error names nothing nearer
    SUBJECT_ERASED = "subject.erased"
