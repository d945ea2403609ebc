"""The form in which a person proposes a command, or other terms for one: lists and maps are written a line each."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from django import forms
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from entitlements.stdio.sandbox.plan import Layer, Limits
from governance.trusted_issuers.pages.forms import Lines, Pairs

_PLAIN: Final = {"autocapitalize": "none", "spellcheck": "false"}
LAYERS: Final = {
    Layer.FILES: gettext_lazy("files: it reads what is listed, and writes its scratch folder"),
    Layer.SIGNALS: gettext_lazy("signals: to its own processes alone"),
    Layer.PORTS: gettext_lazy("ports: to the listed ones alone"),
    Layer.CALLS: gettext_lazy("system calls: no sockets, no debugging, no namespaces"),
    Layer.PRIVILEGES: gettext_lazy("privileges: none that it does not have"),
    Layer.LIMITS: gettext_lazy("limits of one process"),
    Layer.WATCH: gettext_lazy("limits of all its processes together"),
}


class CommandForm(forms.Form):
    """A command and how it is held."""

    name = forms.SlugField(
        label=gettext_lazy("Name"),
        max_length=64,
        help_text=gettext_lazy("What a system names, for example time. The same name again changes the command."),
    )
    folder = forms.CharField(
        label=gettext_lazy("Folder of its files"),
        max_length=500,
        widget=forms.TextInput(attrs=_PLAIN),
        help_text=gettext_lazy("Absolute, the same on every node and worker, and writable by its owner alone."),
    )
    digest = forms.RegexField(
        r"^[0-9a-f]{64}\Z",
        label=gettext_lazy("SHA-256 of the files"),
        required=False,
        widget=forms.TextInput(attrs=_PLAIN),
        help_text=gettext_lazy("Leave it empty to pin the files as they are on this machine now."),
    )
    argv = Lines(
        label=gettext_lazy("Command"),
        help_text=gettext_lazy("One part a line. It begins with a program below {package}/, /usr or /bin."),
    )
    env = Pairs(label=gettext_lazy("Environment"), help_text=gettext_lazy("One variable a line: NAME = value."))
    ports = Lines(
        label=gettext_lazy("TCP ports it may connect to"),
        help_text=gettext_lazy("One a line, at any host. Empty: it has no network."),
    )
    limits = Pairs(
        label=gettext_lazy("Other limits"),
        help_text=gettext_lazy("One a line, such as memory = 536870912 or processes = 32. Empty: the usual ones."),
    )
    shared = forms.BooleanField(
        label=gettext_lazy("All callers of a system share one process, instead of one for each agent and person"),
        required=False,
    )
    without = forms.MultipleChoiceField(
        label=gettext_lazy("Runs also where this part of its sandbox does not work"),
        choices=[(layer.value, label) for layer, label in LAYERS.items()],
        widget=forms.CheckboxSelectMultiple,
        required=False,
        help_text=gettext_lazy("Only platform admins can propose and confirm this."),
    )
    reason = forms.CharField(label=gettext_lazy("Reason"), max_length=500)

    def __init__(self, *args: Any, **kwargs: Any) -> None:  # noqa: ANN401 - the framework's
        super().__init__(*args, **kwargs)
        self.fields["argv"].required = True

    def clean_ports(self) -> list[int]:
        """Return numbers. Raises the framework's ValidationError."""
        return [int(_number(port)) for port in self.cleaned_data["ports"]]

    def clean_limits(self) -> dict[str, float]:
        """Return numbers, whole ones whole. Raises the framework's ValidationError."""
        return {name: _number(value) for name, value in self.cleaned_data["limits"].items()}


def _number(text: str) -> float:
    try:
        value = float(text)
        return int(value) if value == int(value) else value
    except (ValueError, OverflowError) as error:
        raise forms.ValidationError(_("Write numbers."), "invalid") from error


def initial(name: str, terms: Mapping[str, Any]) -> dict[str, Any]:
    """Return what the form begins with where other terms are proposed: without the digest, since files have changed."""
    return {**terms, "name": name, "digest": "", "ports": [str(port) for port in terms["ports"]], "limits": own(terms)}


def own(terms: Mapping[str, Any]) -> dict[str, Any]:
    """Return the limits that are not the usual ones."""
    usual = Limits()
    return {name: value for name, value in terms["limits"].items() if getattr(usual, name) != value}
