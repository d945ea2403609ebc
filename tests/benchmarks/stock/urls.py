"""Its own addresses: `/o/token/`, `/o/introspect/`."""

from django.urls import include, path

urlpatterns = [path("o/", include("oauth2_provider.urls", namespace="oauth2_provider"))]
