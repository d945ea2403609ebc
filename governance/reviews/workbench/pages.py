"""The page on which single keys are turned off, or put elsewhere."""

from __future__ import annotations

from typing import Final

from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy
from django.views.decorators.http import require_http_methods

from governance.console import doors

from . import keys

_ACTS: Final = (
    gettext_lazy("Keep"),
    gettext_lazy("Keep some"),
    gettext_lazy("Revoke"),
    gettext_lazy("Set an earlier end"),
    gettext_lazy("Don't know"),
    gettext_lazy("Undo the last decision"),
)


@require_http_methods(["GET", "HEAD", "POST"])
@doors.page
def page(request: HttpRequest) -> HttpResponse:
    """Show the keys, and keep what was chosen in a cookie."""
    chosen, problem = keys.read(request.COOKIES.get(keys.COOKIE, "")), ""
    if request.method == "POST":
        letters = [text.strip().lower() for text in request.POST.getlist("key")]
        if "usual" in request.POST:
            letters = list(keys.USUAL)
        if keys.are_usable(letters):
            answer = redirect("keys")
            kept = keys.Keys("on" in request.POST, "".join(letters)).written
            answer.set_cookie(keys.COOKIE, kept, max_age=365 * 24 * 3600, samesite="Lax", secure=request.is_secure())
            messages.success(request, _("Your keys are saved in this browser."))
            return answer
        problem = _("Each act needs its own letter or digit. The keys j, k, x, c, g, o and n are taken.")
        chosen = keys.Keys("on" in request.POST, "".join(f"{letter:.1}" for letter in letters)[: len(keys.USUAL)])
    context = {"chosen": chosen, "problem": problem, "acts": list(zip(_ACTS, chosen.letters.ljust(6), strict=True))}
    return render(request, "console/keys.html", context, status=422 if problem else 200)
