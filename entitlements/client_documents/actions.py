"""What people do about clients that describe themselves: each action declared once, for API and console."""

from __future__ import annotations

from django.utils.translation import gettext_lazy as _
from rest_framework import serializers

from entitlements.access import visibility
from entitlements.api.actions import NEW, Action, Performed, Sentence, Subject, person
from entitlements.api.fields import InputSerializer, Slug, Text
from entitlements.client_documents import documents, hosts
from entitlements.clients.models import Client
from entitlements.words import LONGEST_CLIENT_ID


def _serves() -> serializers.ChoiceField:
    return serializers.ChoiceField(choices=Client.Serves.choices, default=Client.Serves.OWN_AGENT)


class ClientHostInputSerializer(InputSerializer):
    """A host whose clients people may sign in to by their own consent; `agent` is the shared one, if there is one."""

    host = Text(max_length=260)
    serves = _serves()
    agent = Slug(allow_null=True, default=None)
    reason = Text(max_length=500)


class ClientDocumentInputSerializer(InputSerializer):
    """A metadata document that is stored by hand, where it cannot be fetched."""

    client_id = Text(max_length=LONGEST_CLIENT_ID)
    document = serializers.DictField()
    reason = Text(max_length=500)


class ApproveClientDocumentInputSerializer(InputSerializer):
    """The shared agent that the client joins; none where each person has a personal agent."""

    serves = _serves()
    agent = Slug(allow_null=True, default=None)


def _proposed(done: Performed) -> Sentence:
    if done.values.get("agent") is None:
        return _("Proposed. Another person, who is platform admin or security approver, confirms it.")
    return _("Proposed. A person who is responsible for the agent confirms it.")


def _approved(done: Performed) -> Sentence:
    if done.values.get("agent") is None:
        return _("Approved. People can sign in, each with a personal agent.")
    return _("Approved. It works once a person who is responsible for the agent has accepted it.")


HOST = Subject(visibility.client_hosts, hosts.KIND.about, by=person, by_key=True)
DOCUMENT = Subject(visibility.client_documents, documents.about, by=person, by_key=True)

PROPOSE = Action(
    "client-hosts",
    NEW,
    hosts.propose,
    input=ClientHostInputSerializer,
    by=person,
    done=_proposed,
)
CONFIRM = Action(
    "client-host-confirm",
    HOST,
    hosts.KIND.confirm,
    input=None,
    done=_("Allowed. People may sign in to clients of %(host)s by their own consent."),
)
WITHDRAW = Action("client-host-withdraw", HOST, hosts.KIND.withdraw, done=_("Withdrawn."))
END = Action("client-host-end", HOST, hosts.KIND.end, done=_("Ended, with the sign-ins at clients of %(host)s."))
STORE = Action("client-documents", NEW, documents.store, input=ClientDocumentInputSerializer, by=person)
APPROVE = Action(
    "client-document-approve",
    DOCUMENT,
    documents.approve,
    input=ApproveClientDocumentInputSerializer,
    done=_approved,
)
REFUSE = Action("client-document-refuse", DOCUMENT, documents.refuse, done=_("Refused."))
