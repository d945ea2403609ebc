"""The addresses of the MCP registry, which programs read: no trailing slash, and a server's name holds one."""

from django.urls import path

from .pages import registry

urlpatterns = [
    path("v0.1/servers", registry.servers, name="registry-servers"),
    path("v0.1/servers/<path:name>/versions", registry.versions, name="registry-versions"),
    path("v0.1/servers/<path:name>/versions/<str:wanted>", registry.version, name="registry-version"),
]
