"""SCIM's addresses below /scim/v2/ (RFC 7644, section 3.2)."""

from django.urls import path

from . import views

urlpatterns = [
    path("Users", views.users),
    path("Users/<str:pk>", views.user),
    path("Groups", views.groups),
    path("Groups/<str:pk>", views.group),
    path("ServiceProviderConfig", views.about, {"kind": "ServiceProviderConfig"}),
    path("ResourceTypes", views.about, {"kind": "ResourceTypes"}),
    path("ResourceTypes/<str:key>", views.about, {"kind": "ResourceTypes"}),
    path("Schemas", views.about, {"kind": "Schemas"}),
    path("Schemas/<str:key>", views.about, {"kind": "Schemas"}),
    path("<path:rest>", views.elsewhere),
]
