"""The page behind an invitation: set a password, then add a second factor, without which no other page opens."""

from __future__ import annotations

from allauth.account.internal.flows import login as signing_in
from allauth.account.internal.flows import reauthentication
from allauth.account.models import Login
from django import forms
from django.contrib.auth import password_validation
from django.contrib.auth.decorators import login_not_required
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.urls import reverse
from django.utils.translation import gettext_lazy as _
from django.views.decorators.http import require_http_methods

from entitlements.people.models import Person
from governance.setup import first_admin


class Password(forms.Form):
    """The first password, typed twice."""

    new_password = forms.CharField(
        label=_("Password"), widget=forms.PasswordInput(attrs={"autocomplete": "new-password", "autofocus": True})
    )
    again = forms.CharField(
        label=_("The same again"), widget=forms.PasswordInput(attrs={"autocomplete": "new-password"})
    )

    def __init__(self, person: Person, *arguments: object) -> None:
        super().__init__(*arguments)  # type: ignore[arg-type]  # the form's data, or nothing
        self._person = person

    def clean(self) -> None:
        """Hold the password against the rules for passwords, and against the second."""
        super().clean()
        first = self.cleaned_data.get("new_password", "")
        if first and first != self.cleaned_data.get("again"):
            self.add_error("again", _("The two are not the same."))
        try:
            password_validation.validate_password(first, self._person)
        except forms.ValidationError as problem:
            self.add_error("new_password", problem)


@login_not_required
@require_http_methods(["GET", "HEAD", "POST"])
def welcome(request: HttpRequest, token: str) -> HttpResponse:
    """Show the form, or take it: the link is spent, the person signed in and sent to add a second factor."""
    try:
        person = first_admin.holder(token)
        form = Password(person, request.POST) if request.method == "POST" else Password(person)
        if request.method != "POST" or not form.is_valid():
            status = 422 if request.method == "POST" else 200
            return _private(
                render(request, "console/sign_in/welcome.html", {"form": form, "person": person}, status=status)
            )
        person = first_admin.accept(token, form.cleaned_data["new_password"])
    except first_admin.InvitationSpent as refusal:
        context = {"problem": refusal, "code": refusal.code, "back": "/"}
        return _private(render(request, "console/errors/refused.html", context, status=refusal.status))
    onward = reverse("mfa_activate_totp")
    answer = signing_in.perform_password_login(request, {}, Login(user=person, redirect_url=onward))
    if request.user.is_authenticated:
        reauthentication.reauthenticate_by_password(request)  # the password was given a moment ago
    return _private(answer)


def _private(answer: HttpResponse) -> HttpResponse:
    answer["Cache-Control"] = "no-store"
    return answer
