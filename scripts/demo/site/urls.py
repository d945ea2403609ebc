"""The product's addresses, and those of the visit."""

from __future__ import annotations

from django.urls import URLPattern, URLResolver, include, path

from governance import urls as product

from . import views

urlpatterns: list[URLPattern | URLResolver] = [
    path("", include(product)),
    path("visit/sign-in/", views.sign_in),
    path("visit/again/", views.confirm),
    path("visit/call/", views.call),
    path("visit/verify/", views.verify),
    path("visit/reset/", views.reset),
]

handler400 = product.handler400
handler403 = product.handler403
handler404 = product.handler404
handler500 = product.handler500
