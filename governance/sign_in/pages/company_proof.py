"""The page before a re-authentication at the company: a form may not post to another site, so it has a link."""

from __future__ import annotations

from allauth.socialaccount.adapter import get_adapter
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.urls import reverse
from django.utils.http import urlencode
from django.views.decorators.http import require_safe

from governance.console import doors
from governance.sign_in import company_sign_in


@require_safe
@doors.page
def at_the_company(request: HttpRequest) -> HttpResponse:
    """Explain, and link to the company's sign-in, which asks for credentials again."""
    query = {"process": company_sign_in.AGAIN, "next": doors.back(request)}
    context = {
        "address": f"{reverse('openid_connect_login', args=['company'])}?{urlencode(query)}",
        "name": " ".join(provider.name for provider in get_adapter().list_providers(request)),
    }
    return render(request, "account/company_again.html", context)
