"""The console's addresses. Pages end in a slash."""

from __future__ import annotations

from allauth.account import views as account
from allauth.socialaccount.providers.openid_connect import views as company
from django.urls import URLPattern, URLResolver, include, path

from .views import agents, asking, connect, grants, home, profile, record, requests, stops, systems, welcome

SIGN_IN: list[URLPattern | URLResolver] = [
    path("login/", account.login, name="account_login"),
    path("welcome/<str:token>/", welcome.welcome, name="welcome"),
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
    path("search/", record.search, name="search"),
    path("audit/", record.explorer, name="audit"),
    path("requests/", requests.listing, name="request-list"),
    path("requests/new/", asking.ask, name="ask"),
    path("requests/<uuid:pk>/", requests.one, name="request-page"),
    path("agents/", agents.listing, name="agent-list"),
    path("agents/<slug:slug>/", agents.one, name="agent-page"),
    path("agents/<slug:slug>/restore/", agents.restore, name="agent-start"),
    path("my-agents/", agents.mine, name="my-agents"),
    path("sessions/<uuid:session>/end/", agents.end_session, name="end-session"),
    path("grants/", grants.listing, name="grant-list"),
    path("grants/<uuid:pk>/", grants.one, name="grant-page"),
    path("grants/<uuid:pk>/pause/", grants.suspend, name="grant-pause"),
    path("grants/<uuid:pk>/resume/", grants.restore, name="grant-resume"),
    path("systems/", systems.listing, name="system-list"),
    path("systems/<slug:slug>/", systems.one, name="system-page"),
    path("systems/<slug:slug>/approve/", systems.approve_easy, name="approve-easy"),
    path("systems/<slug:slug>/discover/", systems.discover, name="discover"),
    path("systems/<slug:slug>/start/", systems.start, name="system-start"),
    path("systems/<slug:slug>/tools/<str:name>/", systems.tool, name="tool-page"),
    path("stop/", stops.overview, name="stops"),
    path("stop/start-again/", stops.start_again, name="start-again"),
    path("stop/receipts/<uuid:pk>/", stops.receipt, name="receipt"),
    path("stop/everything/", stops.stop, {"kind": "everything", "key": "everything"}, name="stop-everything"),
    path("stop/<slug:kind>/<path:key>/", stops.stop, name="stop"),
    path("connect/", connect.connect, name="connect"),
    path("connect/light/<str:client_id>/", connect.light, name="connect-light"),
    path("settings/", profile.profile, name="settings"),
    path("settings/tokens/", profile.make_token, name="make-token"),
    path("settings/tokens/<int:number>/end/", profile.revoke_token, name="end-token"),
    path("settings/theme/", home.theme, name="theme"),
    path("people/", profile.listing, name="people-list"),
    path("people/add/", profile.add, name="person-add"),
    path("people/<slug:login>/", profile.one, name="person-page"),
    path("people/<slug:login>/enable/", profile.enable, name="person-start"),
]
