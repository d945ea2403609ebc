"""The console's addresses. Pages end in a slash."""

from __future__ import annotations

from allauth.account import views as account
from allauth.socialaccount.providers.openid_connect import views as company
from django.urls import URLPattern, URLResolver, include, path

from .views import home

SIGN_IN: list[URLPattern | URLResolver] = [
    path("login/", account.login, name="account_login"),
    path("logout/", account.logout, name="account_logout"),
    path("login/disabled/", account.account_inactive, name="account_inactive"),
    path("login/again/", account.reauthenticate, name="account_reauthenticate"),
    path("login/<slug:provider_id>/", company.login, name="openid_connect_login"),
    path("login/<slug:provider_id>/callback/", company.callback, name="openid_connect_callback"),
    path("settings/password/", account.password_change, name="account_change_password"),
    path("settings/sign-in/", include("allauth.mfa.urls")),
]

urlpatterns: list[URLPattern | URLResolver] = [
    *SIGN_IN,
    path("", home.home, name="home"),
    path("settings/theme/", home.theme, name="theme"),
]
