"""Messages to trackers: for each event an incident in ServiceNow, or an issue in Jira.

ServiceNow takes the fields of a record at its Table API (`POST /api/now/table/incident`), Jira Cloud an issue at
`POST /rest/api/3/issue`, whose description is a document of the Atlassian Document Format. Both answer with 201.
"""

from __future__ import annotations

import base64
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import Any, Final

from entitlements.errors import DomainError
from governance.webhooks.models import Webhook

FORMS: Final = frozenset({Webhook.Form.SERVICENOW.value, Webhook.Form.JIRA.value})
_PROJECT: Final = re.compile(r"[A-Z][A-Z0-9_]{0,31}", re.ASCII)
_SHORT: Final = 160
"""A short description of ServiceNow holds no more; a summary of Jira holds 255."""


class TrackerUnusable(DomainError):
    """ServiceNow and Jira need a credential, Jira also a project key and an issue type; other webhooks take none of it.

    A user name has no colon, and nothing in it or in the credential is a control character or outside ASCII.
    """

    code, status = "tracker_unusable", HTTPStatus.UNPROCESSABLE_ENTITY


@dataclass(frozen=True, slots=True)
class Tracker:
    """How a tracker is signed in to, and where in Jira issues are opened. Without a user it is a bearer token."""

    user: str = ""
    credential: str = field(default="", repr=False)
    project: str = ""
    issue_type: str = ""

    def authorization(self) -> str:
        """Return the `Authorization` header: Basic (RFC 7617) with a user, else Bearer (RFC 6750)."""
        if not self.user:
            return f"Bearer {self.credential}"
        return f"Basic {base64.b64encode(f'{self.user}:{self.credential}'.encode()).decode()}"

    def options(self, form: str) -> dict[str, str]:
        """Return what is stored beside the credential."""
        return {"project": self.project, "issue_type": self.issue_type} if form == Webhook.Form.JIRA else {}


NO_TRACKER: Final = Tracker()


@dataclass(frozen=True, slots=True)
class EventMessage:
    """What is told: the event, a sentence, the page about it, and the id and the links of the event."""

    event: str
    sentence: str
    url: str
    about: Mapping[str, Any]

    @property
    def lines(self) -> list[str]:
        """What is told as lines of plain text, without the address."""
        return [self.sentence, f"{self.event}: {', '.join(self.about['about'])}" if self.about else self.event]


def check(form: str, tracker: Tracker) -> None:
    """Check that an endpoint of this form can be used with this. Raises TrackerUnusable."""
    if form not in FORMS:
        if tracker != NO_TRACKER:
            raise TrackerUnusable
        return
    in_header = tracker.user + tracker.credential
    if not tracker.credential.strip() or ":" in tracker.user or not (in_header.isascii() and in_header.isprintable()):
        raise TrackerUnusable
    is_jira = form == Webhook.Form.JIRA
    if is_jira != bool(_PROJECT.fullmatch(tracker.project)) or is_jira != bool(tracker.issue_type.strip()):
        raise TrackerUnusable


def issue(form: str, options: Mapping[str, str], message: EventMessage) -> dict[str, Any]:
    """Write the record that a tracker opens for an event."""
    if form == Webhook.Form.JIRA:
        return {
            "fields": {
                "project": {"key": options["project"]},
                "issuetype": {"name": options["issue_type"]},
                "summary": message.sentence[:_SHORT],
                "description": _document(message),
            }
        }
    correlation = {"correlation_id": message.about["id"]} if message.about else {}
    return {
        "short_description": message.sentence[:_SHORT],
        "description": "\n".join([*message.lines, message.url]),
        "correlation_display": "Mandate",
        **correlation,
    }


def _document(message: EventMessage) -> dict[str, Any]:
    """Write a description of Jira Cloud: a paragraph for each line, and one with the link."""
    link = {"type": "text", "text": message.url, "marks": [{"type": "link", "attrs": {"href": message.url}}]}
    texts = [*({"type": "text", "text": line} for line in message.lines), link]
    paragraphs = [{"type": "paragraph", "content": [text]} for text in texts]
    return {"type": "doc", "version": 1, "content": paragraphs}
