"""The addresses of the web process. The gateway is another process, with its own."""

from django.contrib import admin
from django.urls import URLPattern, URLResolver, include, path

from .operations import health, metrics

# In the order of traffic: Django tries each pattern in turn, and the console's many would cost a token request 3 ms.
urlpatterns: list[URLPattern | URLResolver] = [
    path("", include("entitlements.oauth.urls")),
    path("", include("entitlements.event_streams.urls")),
    path("", include("entitlements.api.urls")),
    path("", include("governance.api.urls")),
    path("scim/v2/", include("governance.scim.urls")),
    path("readyz", health.readyz),
    path("metrics", metrics.metrics),
    path("", include("governance.connect.urls")),
    path("admin/", admin.site.urls),
    path("", include("governance.console.urls")),
]

handler400 = "governance.console.errors.bad_request"
handler403 = "governance.console.errors.forbidden"
handler404 = "governance.console.errors.not_found"
handler500 = "governance.console.errors.failed"
