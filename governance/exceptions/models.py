"""The exception register, as the database makes it of the rows of three rooms (`sql/exception_register.sql`)."""

from __future__ import annotations

from typing import Any, Final

from django.db import models
from django.urls import reverse
from django.utils.translation import gettext_lazy as _

_PAGES: Final = {"sod": "rule-page", "policy": "emergency-page", "remediation": "review-item-page"}


class RegisteredException(models.Model):
    """One exception, or a failed remediation without one. It is never written here: the view shows them as one list.

    A failed remediation without an exception has no owner and no end. Otherwise `owner` gave it and answers for it
    until `expires_at`; `control` is the mitigating control. `beneath` names the SoD policy, the scope or the review.
    `page_key` and `campaign` lead to its page, and `grant_key` is the grant of break-glass access, whose control is
    the review by another person: `verdict` is what that review found.
    """

    class Kind(models.TextChoices):
        SOD = "sod", _("SoD policy")
        POLICY = "policy", _("Approval policy")
        REMEDIATION = "remediation", _("Failed remediation")

    key = models.CharField(primary_key=True, max_length=64)
    kind = models.CharField(max_length=16)
    what = models.CharField(max_length=300)
    beneath = models.CharField(max_length=300)
    agent = models.ForeignKey("entitlements.Agent", null=True, on_delete=models.DO_NOTHING, related_name="+")
    system = models.ForeignKey("entitlements.System", null=True, on_delete=models.DO_NOTHING, related_name="+")
    owner = models.ForeignKey("entitlements.Person", null=True, on_delete=models.DO_NOTHING, related_name="+")
    control = models.CharField(max_length=500)
    reason = models.CharField(max_length=500)
    since = models.DateTimeField()
    expires_at = models.DateTimeField(null=True)
    ended_at = models.DateTimeField(null=True)
    verdict = models.CharField(max_length=16)
    page_key = models.UUIDField()
    campaign = models.CharField(max_length=64)
    grant_key = models.UUIDField(null=True)
    ticket = models.CharField(max_length=64)

    class Meta:
        managed = False
        db_table = "governance_exceptionregister"

    def __str__(self) -> str:
        return self.key

    @property
    def address(self) -> str:
        """The console's page of the exception: where it is ended, or what it is given from."""
        keys: list[Any] = [self.campaign, self.page_key] if self.kind == self.Kind.REMEDIATION else [self.page_key]
        return reverse(_PAGES[self.kind], args=keys) + ("#exceptions" if self.kind == self.Kind.SOD else "")
