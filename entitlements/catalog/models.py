"""Systems, tools with pinned definitions, and entitlements."""

from __future__ import annotations

from datetime import timedelta
from typing import ClassVar

from django.db import models
from django.db.models import Q

from entitlements.definitions import primitives


class System(models.Model):
    """What agents reach. The gateway forwards to `upstream_url`; the resource address is derived from the slug.

    Its access tokens, and the ID-JAGs for it, are signed with `signing_algorithm`.
    `asked_at`, `failures` in a row and `problem` (a code) tell of the last discovery, `ask_again_at` of the next.
    """

    class Kind(models.TextChoices):
        MCP = "mcp", "MCP server that speaks enterprise-managed authorization"
        MCP_GATEWAY = "mcp_gateway", "MCP server behind our gateway"
        HTTP = "http", "REST API behind our gateway"
        STDIO = "stdio", "Local MCP server behind our gateway"
        BUILTIN = "builtin", "Mandate itself"
        KNOWN = "known", "Known from an import, not behind our gateway"

    class Status(models.TextChoices):
        ACTIVE = "active", "Active"
        DISABLED = "disabled", "Disabled"

    class DenialShape(models.TextChoices):
        TOOL_RESULT = "tool_result", "Tool result with isError"
        JSONRPC = "jsonrpc", "JSON-RPC error -32001"
        FORBIDDEN = "forbidden", "HTTP 403 insufficient_scope"

    class SigningAlgorithm(models.TextChoices):
        ES256 = "ES256", "ES256 (P-256)"
        EDDSA = "EdDSA", "EdDSA (Ed25519)"
        RS256 = "RS256", "RS256 (RSA)"

    SERVED: ClassVar = (Kind.MCP_GATEWAY, Kind.HTTP, Kind.STDIO)
    """The kinds that the gateway serves now: nothing else goes through it, and of nothing else each call is seen."""
    AT_ADDRESS: ClassVar = (Kind.MCP_GATEWAY, Kind.HTTP)
    """Those of them that are registered by their address alone."""

    slug = models.SlugField(max_length=64, unique=True)
    name = models.CharField(max_length=200)
    kind = models.CharField(max_length=16, choices=Kind.choices)
    owner = models.ForeignKey(
        "entitlements.Person", null=True, blank=True, on_delete=models.PROTECT, related_name="owned_systems"
    )
    upstream_url = models.URLField(max_length=500, blank=True)
    status = models.CharField(max_length=16, choices=Status.choices, default=Status.ACTIVE)
    denial_shape = models.CharField(max_length=16, choices=DenialShape.choices, default=DenialShape.TOOL_RESULT)
    token_seconds = models.PositiveIntegerField(default=300)
    signing_algorithm = models.CharField(
        max_length=16, choices=SigningAlgorithm.choices, default=SigningAlgorithm.ES256, db_default="ES256"
    )
    created_at = models.DateTimeField(auto_now_add=True)
    discovered_at = models.DateTimeField(null=True, blank=True)
    asked_at = models.DateTimeField(null=True, blank=True)
    ask_again_at = models.DateTimeField(null=True, blank=True)
    failures = models.PositiveSmallIntegerField(default=0, db_default=0)
    problem = models.CharField(max_length=64, blank=True, default="", db_default="")
    version = models.PositiveIntegerField(default=1)

    class Meta:
        constraints: ClassVar = [
            models.CheckConstraint(
                name="access_tokens_live_at_most_300_seconds", condition=Q(token_seconds__gt=0, token_seconds__lte=300)
            ),
            models.CheckConstraint(
                name="a_governed_system_has_an_owner", condition=Q(kind="builtin") | Q(owner__isnull=False)
            ),
            models.CheckConstraint(
                name="a_reserved_slug_is_built_in", condition=Q(kind="builtin") | ~Q(slug__in=["mandate", "all"])
            ),
        ]

    def __str__(self) -> str:
        return self.slug


class Tool(models.Model):
    """One capability of a system: a tool, or a resource, template or prompt under a name that no tool can have.

    Agents are shown `approved`, the definition a person agreed to.

    `suggestion` is what the rules say of the definition in `seen`. Action, risk and data class begin as suggested and
    count once a person has approved the tool; a flow stays unknown until a person says yes or no.
    """

    class State(models.TextChoices):
        PENDING = "pending", "Pending"
        APPROVED = "approved", "Approved"
        QUARANTINED = "quarantined", "Quarantined"
        DISABLED = "disabled", "Disabled"
        REMOVED = "removed", "Removed"

    class Does(models.TextChoices):
        READ = "read", "Read"
        WRITE = "write", "Write"
        DELETE = "delete", "Delete"
        EXECUTE = "execute", "Execute"

    class Risk(models.TextChoices):
        LOW = "low", "Low"
        MEDIUM = "medium", "Medium"
        HIGH = "high", "High"
        CRITICAL = "critical", "Critical"

    class Primitive(models.TextChoices):
        TOOL = "tool", "Tool"
        RESOURCE = "resource", "Resource"
        RESOURCE_TEMPLATE = "resource_template", "Resource template"
        PROMPT = "prompt", "Prompt"

    system = models.ForeignKey(System, on_delete=models.PROTECT, related_name="tools")
    name = models.CharField(max_length=128)
    primitive = models.CharField(max_length=20, choices=Primitive.choices, default=Primitive.TOOL, db_default="tool")
    sentence = models.CharField(max_length=500, blank=True)
    state = models.CharField(max_length=16, choices=State.choices, default=State.PENDING)
    action = models.CharField(max_length=16, choices=Does.choices, default=Does.EXECUTE)
    risk = models.CharField(max_length=16, choices=Risk.choices, default=Risk.HIGH)
    data_class = models.CharField(max_length=32, default="internal")
    reads_private = models.BooleanField(null=True, blank=True)
    ingests_untrusted = models.BooleanField(null=True, blank=True)
    egress_external = models.BooleanField(null=True, blank=True)
    suggestion = models.JSONField(null=True, blank=True)
    approved = models.ForeignKey("ToolVersion", null=True, blank=True, on_delete=models.PROTECT, related_name="+")
    seen = models.ForeignKey("ToolVersion", null=True, blank=True, on_delete=models.PROTECT, related_name="+")
    version = models.PositiveIntegerField(default=1)

    class Meta:
        constraints: ClassVar = [
            models.UniqueConstraint(name="a_tool_name_is_unique_in_its_system", fields=["system", "name"]),
            models.CheckConstraint(
                name="approved_tool_has_a_pinned_definition_and_a_sentence",
                condition=~Q(state="approved") | (Q(approved__isnull=False) & ~Q(sentence="")),
            ),
            models.CheckConstraint(
                name="what_is_no_tool_has_a_name_that_no_tool_has",
                condition=Q(primitive="tool", name__regex=r"^[^/]*$")
                | Q(primitive="resource_template", name__startswith="resources/templates/")
                | Q(primitive="resource", name__startswith="resources/")
                | Q(primitive="prompt", name__startswith="prompts/"),
            ),
        ]

    def __str__(self) -> str:
        return self.name

    @property
    def shown(self) -> str:
        """The name beside a word that says what it is: the URI, the template, or the name alone."""
        return primitives.without_prefix(self.name)


class ToolVersion(models.Model):
    """A tool's definition as the server sent it, pinned by the SHA-256 of its canonical bytes. Never changed."""

    tool = models.ForeignKey(Tool, on_delete=models.PROTECT, related_name="versions")
    definition = models.JSONField()
    sha256 = models.CharField(max_length=64)
    seen_at = models.DateTimeField()
    approved_at = models.DateTimeField(null=True, blank=True)
    approved_by = models.ForeignKey(
        "entitlements.Person", null=True, blank=True, on_delete=models.PROTECT, related_name="+"
    )

    class Meta:
        constraints: ClassVar = [
            models.UniqueConstraint(name="one_version_per_tool_and_hash", fields=["tool", "sha256"]),
        ]

    def __str__(self) -> str:
        return self.sha256[:12]


class Entitlement(models.Model):
    """A named, requestable bundle of tools of one system. Its wire name is an OAuth scope, unique everywhere.

    With a `rule` ({"actions": [...], "risk_at_most": ...}) its tools are whichever approved ones fit.
    """

    system = models.ForeignKey(System, on_delete=models.PROTECT, related_name="entitlements")
    scope = models.CharField(max_length=128, unique=True)
    name = models.CharField(max_length=200)
    sentence = models.CharField(max_length=500, blank=True)
    tools = models.ManyToManyField(Tool, through="EntitlementTool", related_name="entitlements")
    longest = models.DurationField(default=timedelta(days=90))
    rule = models.JSONField(null=True, blank=True)
    enabled = models.BooleanField(default=True)
    created_at = models.DateTimeField(auto_now_add=True)
    version = models.PositiveIntegerField(default=1)

    class Meta:
        constraints: ClassVar = [
            models.CheckConstraint(name="entitlement_lasts_some_time", condition=Q(longest__gt=timedelta(0))),
        ]

    def __str__(self) -> str:
        return self.scope


class EntitlementTool(models.Model):
    """A tool in an entitlement, with the limits that every grant of it starts from."""

    entitlement = models.ForeignKey(Entitlement, on_delete=models.CASCADE, related_name="lines")
    tool = models.ForeignKey(Tool, on_delete=models.PROTECT, related_name="entitlement_lines")
    limits = models.JSONField(default=dict)

    class Meta:
        constraints: ClassVar = [
            models.UniqueConstraint(name="a_tool_is_in_an_entitlement_once", fields=["entitlement", "tool"])
        ]

    def __str__(self) -> str:
        return f"{self.entitlement_id}:{self.tool_id}"
