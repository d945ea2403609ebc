"""The form of a new connector."""

from __future__ import annotations

from django import forms
from django.utils.translation import gettext_lazy


class ConnectorForm(forms.Form):
    """A connector that is to be made."""

    name = forms.CharField(
        label=gettext_lazy("Name"), max_length=100, help_text=gettext_lazy("Where it runs, for example.")
    )
    reason = forms.CharField(label=gettext_lazy("Reason"), max_length=500)
