"""What people say about an item of a review, from beside it."""

from __future__ import annotations

from uuid import UUID

from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.utils.translation import gettext as _
from django.views.decorators.http import require_POST

from governance import reviews
from governance.console import doors

from .reviewitem import item_of


@require_POST
@doors.page
def comment(request: HttpRequest, slug: str, item: UUID) -> HttpResponse:
    """Say something about an item; then go on where one was."""
    row = item_of(request, slug, item)
    reviews.comment(row.pk, by=doors.person(request), text=request.POST.get("text", ""))
    doors.done(request, _("What you said is kept with the item."))
    return redirect(doors.back(request, f"/reviews/{slug}/items/{item}/"))
