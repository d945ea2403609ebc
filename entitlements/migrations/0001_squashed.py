"""The tables of who may do what, now."""

import datetime
import uuid

import audit.clock
import django.db.models.deletion
import django.db.models.expressions
import django.db.models.functions.datetime
import django.db.models.functions.text
import oauth2_provider.generators
import oauth2_provider.models
from django.conf import settings
from django.db import migrations, models

from audit.tables import Tables

# The index person_by_mailbox needs the function as it was when the index was made; entitlements/people/sql/mailbox.sql has its
# current text.
MAILBOX = r"""
DO $do$
DECLARE
    always text := CASE WHEN EXISTS (SELECT FROM pg_collation WHERE collname = 'pg_c_utf8')
                        THEN ' COLLATE pg_catalog.pg_c_utf8' ELSE '' END;
BEGIN
    EXECUTE replace($text$
CREATE OR REPLACE FUNCTION entitlements_mailbox(email text) RETURNS text LANGUAGE plpgsql IMMUTABLE STRICT PARALLEL SAFE AS $$
DECLARE
    small text := btrim(lower(normalize(email, NFKC) THE_COLLATION));
    local text := regexp_replace(small, '@[^@]*$', '');
    domain text := rtrim(regexp_replace(small, '^.*@', ''), '.');
BEGIN
    IF position('@' IN small) = 0 THEN
        RETURN small;
    END IF;
    IF length(local) > 1 AND local LIKE '"%"' THEN
        local := replace(substr(local, 2, length(local) - 2), '\', '');
    END IF;
    IF position('+' IN local) > 1 THEN
        local := split_part(local, '+', 1);
    END IF;
    IF domain IN ('gmail.com', 'googlemail.com') THEN
        local := coalesce(nullif(replace(local, '.', ''), ''), local);
        domain := 'gmail.com';
    END IF;
    RETURN local || '@' || domain;
END $$
$text$, ' THE_COLLATION', always);
END $do$;
"""


class Migration(migrations.Migration):

    initial = True

    replaces = [('entitlements', name) for name in '''
        0001_initial 0002_change_feed 0003_tokens_of_a_parent 0005_suggestions_and_imports 0006_people_sources
        0008_backup_owner 0009_roles_with_an_end 0010_the_life_of_agents_and_clients 0011_agents_seen_elsewhere
        0012_groups_that_give_roles 0013_pages_of_large_lists 0014_accounts_of_one_person
        0015_since_when_somebody_is_in_a_group 0016_business_critical_agents 0017_access_that_ended
        0018_credentials_that_are_withheld 0019_codes_know_when_the_person_signed_in
        0020_denied_keys_say_since_when 0021_what_one_client_was_issued 0022_one_mailbox_is_one_human
        0023_credentials_are_accepted
    '''.split()]

    dependencies = []

    operations = [
        migrations.RunSQL(MAILBOX),
        # The order of the change feed (entitlements/feed/sql/change_order.sql).
        migrations.RunSQL('CREATE SEQUENCE entitlements_change_order'),
        Tables([
            migrations.CreateModel(
                name='Person',
                fields=[
                    ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                    ('password', models.CharField(max_length=128, verbose_name='password')),
                    ('last_login', models.DateTimeField(blank=True, null=True, verbose_name='last login')),
                    ('login', models.SlugField(max_length=64, unique=True)),
                    ('name', models.CharField(max_length=200)),
                    ('email', models.EmailField(blank=True, max_length=254)),
                    ('manager', models.ForeignKey(blank=True, null=True, on_delete=django.db.models.deletion.PROTECT, related_name='reports', to=settings.AUTH_USER_MODEL)),
                    ('is_active', models.BooleanField(default=True)),
                    ('disabled_at', models.DateTimeField(blank=True, null=True)),
                    ('sign_ins_valid_after', models.DateTimeField(blank=True, null=True)),
                    ('created_at', models.DateTimeField(auto_now_add=True)),
                ],
                options={
                    'indexes': [models.Index(django.db.models.functions.text.Upper('email'), name='person_by_mail'), models.Index(models.Func(models.F('email'), function='entitlements_mailbox'), name='person_by_mailbox')],
                    'constraints': [models.CheckConstraint(condition=models.Q(models.Q(('disabled_at', None), ('is_active', True)), models.Q(('disabled_at__isnull', False), ('is_active', False)), _connector='OR'), name='disabled_person_says_when'), models.CheckConstraint(condition=models.Q(('manager', models.F('id')), _negated=True), name='nobody_manages_themselves')],
                },
            ),
            migrations.CreateModel(
                name='RoleAssignment',
                fields=[
                    ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                    ('person', models.ForeignKey(on_delete=django.db.models.deletion.CASCADE, related_name='roles', to=settings.AUTH_USER_MODEL)),
                    ('role', models.CharField(choices=[('analyst', 'Analyst'), ('approver', 'Approver'), ('security', 'Security approver'), ('responder', 'Responder'), ('auditor', 'Auditor'), ('admin', 'Platform admin')], max_length=16)),
                    ('created_at', models.DateTimeField(default=audit.clock.now)),
                    ('expires_at', models.DateTimeField(blank=True, null=True)),
                    ('mapped_by', models.ForeignKey(blank=True, null=True, on_delete=django.db.models.deletion.PROTECT, related_name='given', to='entitlements.groupmapping')),
                ],
                options={
                    'constraints': [models.UniqueConstraint(fields=('person', 'role'), name='a_person_holds_a_role_once'), models.CheckConstraint(condition=models.Q(models.Q(('role', 'auditor'), _negated=True), models.Q(('expires_at__isnull', False), ('expires_at__lte', django.db.models.expressions.CombinedExpression(models.F('created_at'), '+', models.Value(datetime.timedelta(days=400))))), _connector='OR'), name='an_auditor_is_one_for_a_while'), models.CheckConstraint(condition=models.Q(('role__in', ['analyst', 'approver', 'security', 'responder', 'auditor', 'admin'])), name='role_is_known')],
                },
            ),
            migrations.CreateModel(
                name='Group',
                fields=[
                    ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                    ('slug', models.SlugField(max_length=64, unique=True)),
                    ('name', models.CharField(max_length=200)),
                    ('people', models.ManyToManyField(related_name='member_of', through='entitlements.Membership', to=settings.AUTH_USER_MODEL)),
                ],
            ),
            migrations.CreateModel(
                name='Membership',
                fields=[
                    ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                    ('group', models.ForeignKey(on_delete=django.db.models.deletion.CASCADE, related_name='memberships', to='entitlements.group')),
                    ('person', models.ForeignKey(on_delete=django.db.models.deletion.CASCADE, related_name='memberships', to=settings.AUTH_USER_MODEL)),
                    ('created_at', models.DateTimeField(db_default=django.db.models.functions.datetime.Now(), default=audit.clock.now, null=True)),
                ],
                options={
                    'constraints': [models.UniqueConstraint(fields=('group', 'person'), name='a_person_is_in_a_group_once')],
                },
            ),
            migrations.CreateModel(
                name='TrustedIssuer',
                fields=[
                    ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                    ('issuer', models.CharField(max_length=300, unique=True)),
                    ('purpose', models.CharField(choices=[('identity', "People's ID tokens"), ('id_jag', 'ID-JAGs'), ('workload', 'Workload identity')], max_length=16)),
                    ('jwks_uri', models.URLField(blank=True, max_length=500)),
                    ('jwks', models.JSONField(blank=True, null=True)),
                    ('algorithms', models.JSONField(default=list)),
                    ('strict_single_use', models.BooleanField(default=True)),
                    ('enabled', models.BooleanField(default=True)),
                    ('created_at', models.DateTimeField(auto_now_add=True)),
                ],
                options={
                    'constraints': [models.CheckConstraint(condition=models.Q(('jwks__isnull', False), models.Q(('jwks_uri', ''), _negated=True), _connector='OR'), name='issuer_has_keys_or_an_address_for_them')],
                },
            ),
            migrations.CreateModel(
                name='Identity',
                fields=[
                    ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                    ('issuer', models.ForeignKey(on_delete=django.db.models.deletion.CASCADE, related_name='identities', to='entitlements.trustedissuer')),
                    ('subject', models.CharField(max_length=255)),
                    ('person', models.ForeignKey(on_delete=django.db.models.deletion.CASCADE, related_name='identities', to=settings.AUTH_USER_MODEL)),
                ],
                options={
                    'constraints': [models.UniqueConstraint(fields=('issuer', 'subject'), name='one_person_per_issuer_and_subject')],
                },
            ),
            migrations.CreateModel(
                name='ApiToken',
                fields=[
                    ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                    ('person', models.ForeignKey(on_delete=django.db.models.deletion.CASCADE, related_name='api_tokens', to=settings.AUTH_USER_MODEL)),
                    ('label', models.CharField(max_length=100)),
                    ('digest', models.CharField(max_length=64, unique=True)),
                    ('created_at', models.DateTimeField(auto_now_add=True)),
                    ('expires_at', models.DateTimeField()),
                    ('revoked_at', models.DateTimeField(blank=True, null=True)),
                ],
            ),
            migrations.CreateModel(
                name='Agent',
                fields=[
                    ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                    ('slug', models.SlugField(max_length=64, unique=True)),
                    ('name', models.CharField(max_length=200)),
                    ('kind', models.CharField(choices=[('personal', 'Personal'), ('shared', 'Shared'), ('service', 'Service'), ('ephemeral', 'Ephemeral')], max_length=16)),
                    ('purpose', models.CharField(blank=True, max_length=500)),
                    ('sponsor', models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, related_name='sponsored_agents', to=settings.AUTH_USER_MODEL)),
                    ('owner', models.ForeignKey(blank=True, null=True, on_delete=django.db.models.deletion.PROTECT, related_name='owned_agents', to=settings.AUTH_USER_MODEL)),
                    ('backup', models.ForeignKey(blank=True, null=True, on_delete=django.db.models.deletion.PROTECT, related_name='backed_up_agents', to=settings.AUTH_USER_MODEL)),
                    ('status', models.CharField(choices=[('staged', 'Staged'), ('active', 'Active'), ('suspended', 'Suspended'), ('retired', 'Retired')], default='active', max_length=16)),
                    ('status_reason', models.CharField(blank=True, max_length=500)),
                    ('tokens_valid_after', models.DateTimeField(blank=True, null=True)),
                    ('created_at', models.DateTimeField(auto_now_add=True)),
                    ('activated_at', models.DateTimeField(blank=True, db_default=django.db.models.functions.datetime.Now(), null=True)),
                    ('ends_at', models.DateTimeField(blank=True, null=True)),
                    ('business_critical', models.BooleanField(db_default=False, default=False)),
                    ('version', models.PositiveIntegerField(default=1)),
                ],
                options={
                    'constraints': [models.CheckConstraint(condition=models.Q(models.Q(('ends_at__isnull', False), ('kind', 'ephemeral')), models.Q(models.Q(('kind', 'ephemeral'), _negated=True), ('ends_at', None)), _connector='OR'), name='an_ephemeral_agent_has_an_end_and_no_other'), models.CheckConstraint(condition=models.Q(models.Q(('status', 'active'), _negated=True), ('activated_at__isnull', False), _connector='OR'), name='an_agent_in_use_was_put_into_use'), models.CheckConstraint(condition=models.Q(('kind__in', ['personal', 'shared', 'service', 'ephemeral'])), name='agent_kind_is_known'), models.CheckConstraint(condition=models.Q(models.Q(('status__in', ['suspended', 'retired']), _negated=True), models.Q(('status_reason', ''), _negated=True), _connector='OR'), name='stopped_agent_says_why')],
                },
            ),
            migrations.CreateModel(
                name='AgentTypeRule',
                fields=[
                    ('kind', models.CharField(choices=[('personal', 'Personal'), ('shared', 'Shared'), ('service', 'Service'), ('ephemeral', 'Ephemeral')], max_length=16, primary_key=True, serialize=False)),
                    ('allowed', models.BooleanField()),
                    ('reason', models.CharField(max_length=500)),
                    ('changed_by', models.CharField(max_length=200)),
                    ('changed_at', models.DateTimeField()),
                ],
                options={
                    'db_table': 'entitlements_kindrule',
                },
            ),
            migrations.CreateModel(
                name='AgentVersion',
                fields=[
                    ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                    ('agent', models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, related_name='versions', to='entitlements.agent')),
                    ('model', models.CharField(max_length=200)),
                    ('prompt_sha256', models.CharField(blank=True, max_length=64)),
                    ('client_metadata_sha256', models.CharField(blank=True, max_length=64)),
                    ('source', models.CharField(choices=[('ci', 'A build'), ('cimd', "Its client's metadata document"), ('manual', 'A person'), ('unknown', 'Not known')], max_length=16)),
                    ('reported_at', models.DateTimeField()),
                    ('reported_by', models.CharField(max_length=200)),
                ],
                options={
                    'indexes': [models.Index(fields=['agent', '-reported_at', '-id'], name='version_of_agent')],
                    'constraints': [models.CheckConstraint(condition=models.Q(('source__in', ['ci', 'cimd', 'manual', 'unknown'])), name='agent_version_is_of_a_known_source')],
                },
            ),
            migrations.CreateModel(
                name='System',
                fields=[
                    ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                    ('slug', models.SlugField(max_length=64, unique=True)),
                    ('name', models.CharField(max_length=200)),
                    ('kind', models.CharField(choices=[('mcp', 'MCP server that speaks enterprise-managed authorization'), ('mcp_gateway', 'MCP server behind our gateway'), ('http', 'REST API behind our gateway'), ('stdio', 'Local MCP server behind our gateway'), ('builtin', 'Mandate itself')], max_length=16)),
                    ('owner', models.ForeignKey(blank=True, null=True, on_delete=django.db.models.deletion.PROTECT, related_name='owned_systems', to=settings.AUTH_USER_MODEL)),
                    ('upstream_url', models.URLField(blank=True, max_length=500)),
                    ('status', models.CharField(choices=[('active', 'Active'), ('disabled', 'Disabled')], default='active', max_length=16)),
                    ('denial_shape', models.CharField(choices=[('tool_result', 'Tool result with isError'), ('jsonrpc', 'JSON-RPC error -32001'), ('forbidden', 'HTTP 403 insufficient_scope')], default='tool_result', max_length=16)),
                    ('token_seconds', models.PositiveIntegerField(default=300)),
                    ('created_at', models.DateTimeField(auto_now_add=True)),
                    ('discovered_at', models.DateTimeField(blank=True, null=True)),
                    ('asked_at', models.DateTimeField(blank=True, null=True)),
                    ('ask_again_at', models.DateTimeField(blank=True, null=True)),
                    ('failures', models.PositiveSmallIntegerField(db_default=0, default=0)),
                    ('problem', models.CharField(blank=True, db_default='', default='', max_length=64)),
                    ('version', models.PositiveIntegerField(default=1)),
                ],
                options={
                    'constraints': [models.CheckConstraint(condition=models.Q(('token_seconds__gt', 0), ('token_seconds__lte', 300)), name='access_tokens_live_at_most_300_seconds'), models.CheckConstraint(condition=models.Q(('kind', 'builtin'), ('owner__isnull', False), _connector='OR'), name='a_governed_system_has_an_owner')],
                },
            ),
            migrations.CreateModel(
                name='Tool',
                fields=[
                    ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                    ('system', models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, related_name='tools', to='entitlements.system')),
                    ('name', models.CharField(max_length=128)),
                    ('sentence', models.CharField(blank=True, max_length=500)),
                    ('state', models.CharField(choices=[('pending', 'Pending'), ('approved', 'Approved'), ('quarantined', 'Quarantined'), ('disabled', 'Disabled'), ('removed', 'Removed')], default='pending', max_length=16)),
                    ('action', models.CharField(choices=[('read', 'Read'), ('write', 'Write'), ('delete', 'Delete'), ('execute', 'Execute')], default='execute', max_length=16)),
                    ('risk', models.CharField(choices=[('low', 'Low'), ('medium', 'Medium'), ('high', 'High'), ('critical', 'Critical')], default='high', max_length=16)),
                    ('data_class', models.CharField(default='internal', max_length=32)),
                    ('reads_private', models.BooleanField(blank=True, null=True)),
                    ('ingests_untrusted', models.BooleanField(blank=True, null=True)),
                    ('egress_external', models.BooleanField(blank=True, null=True)),
                    ('suggestion', models.JSONField(blank=True, null=True)),
                    ('approved', models.ForeignKey(blank=True, null=True, on_delete=django.db.models.deletion.PROTECT, related_name='+', to='entitlements.toolversion')),
                    ('seen', models.ForeignKey(blank=True, null=True, on_delete=django.db.models.deletion.PROTECT, related_name='+', to='entitlements.toolversion')),
                    ('version', models.PositiveIntegerField(default=1)),
                ],
                options={
                    'constraints': [models.UniqueConstraint(fields=('system', 'name'), name='a_tool_name_is_unique_in_its_system'), models.CheckConstraint(condition=models.Q(models.Q(('state', 'approved'), _negated=True), models.Q(('approved__isnull', False), models.Q(('sentence', ''), _negated=True)), _connector='OR'), name='approved_tool_has_a_pinned_definition_and_a_sentence')],
                },
            ),
            migrations.CreateModel(
                name='ToolVersion',
                fields=[
                    ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                    ('tool', models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, related_name='versions', to='entitlements.tool')),
                    ('definition', models.JSONField()),
                    ('sha256', models.CharField(max_length=64)),
                    ('seen_at', models.DateTimeField()),
                    ('approved_at', models.DateTimeField(blank=True, null=True)),
                    ('approved_by', models.ForeignKey(blank=True, null=True, on_delete=django.db.models.deletion.PROTECT, related_name='+', to=settings.AUTH_USER_MODEL)),
                ],
                options={
                    'constraints': [models.UniqueConstraint(fields=('tool', 'sha256'), name='one_version_per_tool_and_hash')],
                },
            ),
            migrations.CreateModel(
                name='Entitlement',
                fields=[
                    ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                    ('system', models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, related_name='entitlements', to='entitlements.system')),
                    ('scope', models.CharField(max_length=128, unique=True)),
                    ('name', models.CharField(max_length=200)),
                    ('sentence', models.CharField(blank=True, max_length=500)),
                    ('longest', models.DurationField(default=datetime.timedelta(days=90))),
                    ('rule', models.JSONField(blank=True, null=True)),
                    ('enabled', models.BooleanField(default=True)),
                    ('created_at', models.DateTimeField(auto_now_add=True)),
                    ('version', models.PositiveIntegerField(default=1)),
                    ('tools', models.ManyToManyField(related_name='entitlements', through='entitlements.EntitlementTool', to='entitlements.tool')),
                ],
                options={
                    'constraints': [models.CheckConstraint(condition=models.Q(('longest__gt', datetime.timedelta(0))), name='entitlement_lasts_some_time')],
                },
            ),
            migrations.CreateModel(
                name='EntitlementTool',
                fields=[
                    ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                    ('entitlement', models.ForeignKey(on_delete=django.db.models.deletion.CASCADE, related_name='lines', to='entitlements.entitlement')),
                    ('tool', models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, related_name='entitlement_lines', to='entitlements.tool')),
                    ('limits', models.JSONField(default=dict)),
                ],
                options={
                    'constraints': [models.UniqueConstraint(fields=('entitlement', 'tool'), name='a_tool_is_in_an_entitlement_once')],
                },
            ),
            migrations.CreateModel(
                name='Client',
                fields=[
                    ('id', models.BigAutoField(primary_key=True, serialize=False)),
                    ('client_id', models.CharField(db_index=True, default=oauth2_provider.generators.generate_client_id, max_length=255, unique=True, verbose_name='client ID')),
                    ('user', models.ForeignKey(blank=True, null=True, on_delete=django.db.models.deletion.CASCADE, related_name='%(app_label)s_%(class)s', to=settings.AUTH_USER_MODEL, verbose_name='user')),
                    ('redirect_uris', models.TextField(blank=True, help_text='Allowed URIs list, space separated', verbose_name='redirect URIs')),
                    ('post_logout_redirect_uris', models.TextField(blank=True, default='', help_text='Allowed Post Logout URIs list, space separated', verbose_name='post logout redirect URIs')),
                    ('client_type', models.CharField(choices=[('confidential', 'Confidential'), ('public', 'Public')], max_length=32, verbose_name='client type')),
                    ('authorization_grant_type', models.CharField(choices=[('authorization-code', 'Authorization code'), ('urn:ietf:params:oauth:grant-type:device_code', 'Device Code'), ('implicit', 'Implicit'), ('password', 'Resource owner password-based'), ('client-credentials', 'Client credentials'), ('openid-hybrid', 'OpenID connect hybrid')], max_length=44, verbose_name='authorization grant type')),
                    ('client_secret', oauth2_provider.models.ClientSecretField(blank=True, db_index=True, default=oauth2_provider.generators.generate_client_secret, help_text='Client secret for authentication', max_length=255, verbose_name='client secret')),
                    ('hash_client_secret', models.BooleanField(default=True, verbose_name='hash client secret')),
                    ('name', models.CharField(blank=True, max_length=255, verbose_name='name')),
                    ('skip_authorization', models.BooleanField(default=False, verbose_name='skip authorization')),
                    ('created', models.DateTimeField(auto_now_add=True, verbose_name='created')),
                    ('updated', models.DateTimeField(auto_now=True, verbose_name='updated')),
                    ('algorithm', models.CharField(blank=True, choices=[('', 'No OIDC support'), ('RS256', 'RSA with SHA-2 256'), ('HS256', 'HMAC with SHA-2 256')], default='', max_length=5, verbose_name='algorithm')),
                    ('allowed_origins', models.TextField(blank=True, default='', help_text='Allowed origins list to enable CORS, space separated', verbose_name='allowed origins')),
                    ('registration_source', models.CharField(choices=[('manual', 'Manual'), ('dcr', 'Dynamic Client Registration'), ('cimd', 'Client ID Metadata Document')], default='manual', help_text='How this application was registered (manual, DCR per RFC 7591, or CIMD)', max_length=32, verbose_name='registration source')),
                    ('cimd_expires_at', models.DateTimeField(blank=True, default=None, help_text='When the cached Client ID Metadata Document should be re-fetched', null=True, verbose_name='CIMD expires at')),
                    ('agent', models.ForeignKey(blank=True, null=True, on_delete=django.db.models.deletion.PROTECT, related_name='clients', to='entitlements.agent')),
                    ('auth', models.CharField(choices=[('private_key_jwt', 'Signed assertion'), ('client_secret_basic', 'Shared secret'), ('none', 'Public client')], default='private_key_jwt', max_length=32)),
                    ('jwks', models.JSONField(blank=True, default=dict)),
                    ('secret_sha256', models.CharField(blank=True, max_length=64)),
                    ('status', models.CharField(choices=[('active', 'Active'), ('disabled', 'Disabled')], default='active', max_length=16)),
                    ('api_scopes', models.JSONField(blank=True, default=list)),
                    ('idle', models.CharField(blank=True, choices=[('hidden', 'Unused and hidden'), ('closed', 'Unused and closed'), ('deleted', 'Unused and put away for good')], db_default='', default='', max_length=16)),
                    ('idle_since', models.DateTimeField(blank=True, null=True)),
                    ('tokens_valid_after', models.DateTimeField(blank=True, null=True)),
                ],
                options={
                    'abstract': False,
                    'constraints': [models.CheckConstraint(condition=models.Q(models.Q(('auth', 'private_key_jwt'), models.Q(('jwks', {}), _negated=True)), models.Q(('auth', 'client_secret_basic'), models.Q(('secret_sha256', ''), _negated=True)), ('auth', 'none'), _connector='OR'), name='client_has_the_credential_of_its_method'), models.CheckConstraint(condition=models.Q(('idle__in', ['', 'hidden']), models.Q(('idle__in', ['closed', 'deleted']), ('status', 'disabled')), _connector='OR'), name='an_unused_client_that_is_closed_is_disabled')],
                },
            ),
            migrations.CreateModel(
                name='ClientCredential',
                fields=[
                    ('id', models.UUIDField(default=uuid.uuid4, editable=False, primary_key=True, serialize=False)),
                    ('agent', models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, related_name='credentials', to='entitlements.agent')),
                    ('client_id', models.CharField(max_length=100)),
                    ('purpose', models.CharField(choices=[('client', 'New client'), ('secret', 'New secret')], max_length=16)),
                    ('name', models.CharField(blank=True, max_length=255)),
                    ('auth', models.CharField(choices=[('private_key_jwt', 'Signed assertion'), ('client_secret_basic', 'Shared secret'), ('none', 'Public client')], max_length=32)),
                    ('jwks', models.JSONField(blank=True, default=dict)),
                    ('secret_sha256', models.CharField(blank=True, max_length=64)),
                    ('redirect_uris', models.TextField(blank=True)),
                    ('api_scopes', models.JSONField(blank=True, default=list)),
                    ('state', models.CharField(choices=[('waiting', 'Waiting for acceptance'), ('accepted', 'Accepted'), ('refused', 'Refused'), ('replaced', 'Replaced by a newer one'), ('lapsed', 'Not accepted in time')], default='waiting', max_length=16)),
                    ('asked_by', models.CharField(max_length=200)),
                    ('askers', models.JSONField(blank=True, default=list)),
                    ('reason', models.CharField(blank=True, max_length=500)),
                    ('asked_at', models.DateTimeField()),
                    ('answer_by', models.DateTimeField()),
                    ('acceptor', models.ForeignKey(blank=True, null=True, on_delete=django.db.models.deletion.PROTECT, related_name='+', to=settings.AUTH_USER_MODEL)),
                    ('answered_by', models.CharField(blank=True, max_length=200)),
                    ('answered_at', models.DateTimeField(blank=True, null=True)),
                    ('answer_reason', models.CharField(blank=True, max_length=500)),
                    ('precedes_acceptance', models.BooleanField(db_default=False, default=False)),
                ],
                options={
                    'indexes': [models.Index(fields=['client_id', 'agent'], name='credential_of_client'), models.Index(condition=models.Q(('state', 'waiting')), fields=['answer_by'], name='credential_due'), models.Index(fields=['-asked_at', '-id'], name='credential_page')],
                    'constraints': [models.UniqueConstraint(condition=models.Q(('state', 'waiting')), fields=('client_id',), name='one_credential_of_a_client_waits_at_a_time'), models.CheckConstraint(condition=models.Q(models.Q(('acceptor', None), ('precedes_acceptance', True), ('state', 'accepted')), models.Q(('acceptor__isnull', False), ('precedes_acceptance', False), ('state', 'accepted')), models.Q(models.Q(('state', 'accepted'), _negated=True), ('acceptor', None)), _connector='OR'), name='an_accepted_credential_names_its_acceptor'), models.CheckConstraint(condition=models.Q(models.Q(('answered_at', None), ('state', 'waiting')), models.Q(models.Q(('state', 'waiting'), _negated=True), ('answered_at__isnull', False)), _connector='OR'), name='a_credential_is_answered_exactly_when_it_no_longer_waits'), models.CheckConstraint(condition=models.Q(models.Q(('state', 'accepted'), _negated=True), ('answered_at__lte', models.F('answer_by')), _connector='OR'), name='a_credential_is_accepted_in_time')],
                },
            ),
            migrations.CreateModel(
                name='AuthorizationCode',
                fields=[
                    ('id', models.BigAutoField(primary_key=True, serialize=False)),
                    ('user', models.ForeignKey(on_delete=django.db.models.deletion.CASCADE, related_name='%(app_label)s_%(class)s', to=settings.AUTH_USER_MODEL, verbose_name='user')),
                    ('code', models.CharField(max_length=255, unique=True, verbose_name='code')),
                    ('application', models.ForeignKey(on_delete=django.db.models.deletion.CASCADE, to=settings.OAUTH2_PROVIDER_APPLICATION_MODEL, verbose_name='application')),
                    ('expires', models.DateTimeField(verbose_name='expires')),
                    ('redirect_uri', models.TextField(verbose_name='redirect URI')),
                    ('scope', models.TextField(blank=True, verbose_name='scope')),
                    ('created', models.DateTimeField(auto_now_add=True, verbose_name='created')),
                    ('updated', models.DateTimeField(auto_now=True, verbose_name='updated')),
                    ('code_challenge', models.CharField(blank=True, default='', max_length=128, verbose_name='code challenge')),
                    ('code_challenge_method', models.CharField(blank=True, choices=[('plain', 'plain'), ('S256', 'S256')], default='', max_length=10, verbose_name='code challenge method')),
                    ('nonce', models.CharField(blank=True, default='', max_length=255, verbose_name='nonce')),
                    ('claims', models.TextField(blank=True, verbose_name='claims')),
                    ('resource', oauth2_provider.models.ResourceJSONField(blank=True, default=list, verbose_name='resource')),
                    ('auth_time', models.DateTimeField(blank=True, null=True)),
                ],
                options={
                    'abstract': False,
                },
            ),
            migrations.CreateModel(
                name='OAuthAccessToken',
                fields=[
                    ('id', models.BigAutoField(primary_key=True, serialize=False)),
                    ('user', models.ForeignKey(blank=True, null=True, on_delete=django.db.models.deletion.CASCADE, related_name='%(app_label)s_%(class)s', to=settings.AUTH_USER_MODEL, verbose_name='user')),
                    ('source_refresh_token', models.OneToOneField(blank=True, null=True, on_delete=django.db.models.deletion.SET_NULL, related_name='refreshed_access_token', to=settings.OAUTH2_PROVIDER_REFRESH_TOKEN_MODEL, verbose_name='source refresh token')),
                    ('token', models.TextField(verbose_name='token')),
                    ('token_checksum', oauth2_provider.models.TokenChecksumField(db_index=True, max_length=64, unique=True, verbose_name='token checksum')),
                    ('id_token', models.OneToOneField(blank=True, null=True, on_delete=django.db.models.deletion.CASCADE, related_name='access_token', to=settings.OAUTH2_PROVIDER_ID_TOKEN_MODEL, verbose_name='ID token')),
                    ('application', models.ForeignKey(blank=True, null=True, on_delete=django.db.models.deletion.CASCADE, to=settings.OAUTH2_PROVIDER_APPLICATION_MODEL, verbose_name='application')),
                    ('expires', models.DateTimeField(verbose_name='expires')),
                    ('scope', models.TextField(blank=True, verbose_name='scope')),
                    ('resource', oauth2_provider.models.ResourceJSONField(blank=True, default=list, verbose_name='resource')),
                    ('created', models.DateTimeField(auto_now_add=True, verbose_name='created')),
                    ('updated', models.DateTimeField(auto_now=True, verbose_name='updated')),
                ],
                options={
                    'abstract': False,
                },
            ),
            migrations.CreateModel(
                name='OAuthRefreshToken',
                fields=[
                    ('id', models.BigAutoField(primary_key=True, serialize=False)),
                    ('user', models.ForeignKey(on_delete=django.db.models.deletion.CASCADE, related_name='%(app_label)s_%(class)s', to=settings.AUTH_USER_MODEL, verbose_name='user')),
                    ('token', models.TextField(verbose_name='token')),
                    ('token_checksum', oauth2_provider.models.TokenChecksumField(max_length=64, verbose_name='token checksum')),
                    ('application', models.ForeignKey(on_delete=django.db.models.deletion.CASCADE, to=settings.OAUTH2_PROVIDER_APPLICATION_MODEL, verbose_name='application')),
                    ('access_token', models.OneToOneField(blank=True, null=True, on_delete=django.db.models.deletion.SET_NULL, related_name='refresh_token', to=settings.OAUTH2_PROVIDER_ACCESS_TOKEN_MODEL, verbose_name='access token')),
                    ('token_family', models.UUIDField(blank=True, editable=False, null=True, verbose_name='token family')),
                    ('resource', oauth2_provider.models.ResourceJSONField(blank=True, default=list, verbose_name='resource')),
                    ('created', models.DateTimeField(auto_now_add=True, verbose_name='created')),
                    ('updated', models.DateTimeField(auto_now=True, verbose_name='updated')),
                    ('revoked', models.DateTimeField(null=True, verbose_name='revoked')),
                ],
                options={
                    'unique_together': {('token_checksum', 'revoked')},
                    'abstract': False,
                    'indexes': [models.Index(fields=['token_family'], name='entitlement_token_f_0a41ab_idx')],
                },
            ),
            migrations.CreateModel(
                name='OAuthIDToken',
                fields=[
                    ('id', models.BigAutoField(primary_key=True, serialize=False)),
                    ('user', models.ForeignKey(blank=True, null=True, on_delete=django.db.models.deletion.CASCADE, related_name='%(app_label)s_%(class)s', to=settings.AUTH_USER_MODEL, verbose_name='user')),
                    ('jti', models.UUIDField(default=uuid.uuid4, editable=False, unique=True, verbose_name='JWT Token ID')),
                    ('application', models.ForeignKey(blank=True, null=True, on_delete=django.db.models.deletion.CASCADE, to=settings.OAUTH2_PROVIDER_APPLICATION_MODEL, verbose_name='application')),
                    ('expires', models.DateTimeField(verbose_name='expires')),
                    ('scope', models.TextField(blank=True, verbose_name='scope')),
                    ('created', models.DateTimeField(auto_now_add=True, verbose_name='created')),
                    ('updated', models.DateTimeField(auto_now=True, verbose_name='updated')),
                ],
                options={
                    'abstract': False,
                },
            ),
            migrations.CreateModel(
                name='OAuthDeviceGrant',
                fields=[
                    ('id', models.BigAutoField(primary_key=True, serialize=False)),
                    ('user', models.ForeignKey(blank=True, null=True, on_delete=django.db.models.deletion.CASCADE, related_name='%(app_label)s_%(class)s', to=settings.AUTH_USER_MODEL, verbose_name='user')),
                    ('device_code', models.CharField(max_length=100, verbose_name='device code')),
                    ('user_code', models.CharField(max_length=100, verbose_name='user code')),
                    ('scope', models.TextField(blank=True, verbose_name='scope')),
                    ('interval', models.IntegerField(default=5, verbose_name='interval')),
                    ('expires', models.DateTimeField(verbose_name='expires')),
                    ('status', models.CharField(blank=True, choices=[('authorized', 'Authorized'), ('authorization-pending', 'Authorization pending'), ('expired', 'Expired'), ('denied', 'Denied')], default='authorization-pending', max_length=64, verbose_name='status')),
                    ('client_id', models.CharField(db_index=True, max_length=100, verbose_name='client ID')),
                    ('last_checked', models.DateTimeField(auto_now=True, verbose_name='last checked')),
                ],
                options={
                    'abstract': False,
                    'constraints': [models.UniqueConstraint(fields=('device_code',), name='entitlements_oauthdevicegrant_unique_device_code')],
                },
            ),
            migrations.CreateModel(
                name='ClientAlias',
                fields=[
                    ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                    ('client', models.ForeignKey(on_delete=django.db.models.deletion.CASCADE, related_name='aliases', to=settings.OAUTH2_PROVIDER_APPLICATION_MODEL)),
                    ('system', models.ForeignKey(on_delete=django.db.models.deletion.CASCADE, related_name='client_aliases', to='entitlements.system')),
                    ('foreign_id', models.CharField(max_length=300)),
                ],
                options={
                    'constraints': [models.UniqueConstraint(fields=('client', 'system'), name='one_alias_per_client_and_system'), models.UniqueConstraint(fields=('system', 'foreign_id'), name='an_alias_names_one_client_at_a_system')],
                },
            ),
            migrations.CreateModel(
                name='Change',
                fields=[
                    ('id', models.BigAutoField(primary_key=True, serialize=False)),
                    ('seq', models.BigIntegerField(null=True, unique=True)),
                    ('kind', models.CharField(max_length=32)),
                    ('agent', models.ForeignKey(blank=True, null=True, on_delete=django.db.models.deletion.CASCADE, related_name='+', to='entitlements.agent')),
                    ('subject', models.CharField(max_length=200)),
                    ('noted_at', models.DateTimeField()),
                ],
            ),
            migrations.CreateModel(
                name='GatewayNode',
                fields=[
                    ('id', models.CharField(max_length=64, primary_key=True, serialize=False)),
                    ('started_at', models.DateTimeField()),
                    ('polled_at', models.DateTimeField()),
                    ('position', models.BigIntegerField(default=0)),
                    ('stopped_at', models.DateTimeField(blank=True, null=True)),
                ],
            ),
            migrations.CreateModel(
                name='Revocation',
                fields=[
                    ('id', models.UUIDField(default=uuid.uuid4, editable=False, primary_key=True, serialize=False)),
                    ('target_type', models.CharField(max_length=16)),
                    ('target_id', models.CharField(max_length=128)),
                    ('reason', models.CharField(max_length=500)),
                    ('by', models.CharField(max_length=120)),
                    ('change_id', models.BigIntegerField(null=True)),
                    ('position', models.BigIntegerField(null=True)),
                    ('committed_at', models.DateTimeField()),
                    ('acknowledged', models.JSONField(default=list)),
                    ('missing', models.JSONField(default=list)),
                    ('covered', models.JSONField(db_default=models.Value({}, models.JSONField()), default=dict)),
                    ('residual', models.JSONField(default=list)),
                    ('receipt', models.TextField(blank=True)),
                ],
                options={
                    'ordering': ['-committed_at'],
                },
            ),
            migrations.CreateModel(
                name='Guardrail',
                fields=[
                    ('name', models.CharField(max_length=32, primary_key=True, serialize=False)),
                    ('on', models.BooleanField(default=False)),
                    ('reason', models.CharField(blank=True, max_length=500)),
                    ('changed_at', models.DateTimeField()),
                ],
            ),
            migrations.CreateModel(
                name='HeldCall',
                fields=[
                    ('id', models.UUIDField(default=uuid.uuid4, editable=False, primary_key=True, serialize=False)),
                    ('agent', models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, related_name='holds', to='entitlements.agent')),
                    ('decision', models.UUIDField(unique=True)),
                    ('arguments_sha256', models.CharField(max_length=64)),
                    ('asked_at', models.DateTimeField()),
                    ('expires_at', models.DateTimeField()),
                    ('answer', models.CharField(blank=True, max_length=16)),
                    ('answered_by', models.CharField(blank=True, max_length=120)),
                ],
                options={
                    'db_table': 'entitlements_hold',
                },
            ),
            migrations.CreateModel(
                name='UpstreamSession',
                fields=[
                    ('id', models.UUIDField(default=uuid.uuid4, editable=False, primary_key=True, serialize=False)),
                    ('system', models.ForeignKey(on_delete=django.db.models.deletion.CASCADE, related_name='+', to='entitlements.system')),
                    ('agent', models.ForeignKey(on_delete=django.db.models.deletion.CASCADE, related_name='+', to='entitlements.agent')),
                    ('person', models.ForeignKey(blank=True, null=True, on_delete=django.db.models.deletion.CASCADE, related_name='+', to=settings.AUTH_USER_MODEL)),
                    ('client', models.ForeignKey(on_delete=django.db.models.deletion.CASCADE, related_name='+', to=settings.OAUTH2_PROVIDER_APPLICATION_MODEL)),
                    ('upstream_id', models.CharField(blank=True, max_length=300)),
                    ('protocol', models.CharField(max_length=16)),
                    ('opened_at', models.DateTimeField()),
                    ('ended_at', models.DateTimeField(blank=True, null=True)),
                ],
            ),
            migrations.CreateModel(
                name='Grant',
                fields=[
                    ('id', models.UUIDField(default=uuid.uuid4, editable=False, primary_key=True, serialize=False)),
                    ('agent', models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, related_name='grants', to='entitlements.agent')),
                    ('entitlement', models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, related_name='grants', to='entitlements.entitlement')),
                    ('subjects_digest', models.CharField(max_length=64)),
                    ('state', models.CharField(choices=[('active', 'Active'), ('suspended', 'Suspended'), ('revoked', 'Revoked'), ('expired', 'Expired')], default='active', max_length=16)),
                    ('starts_at', models.DateTimeField()),
                    ('expires_at', models.DateTimeField()),
                    ('ended_at', models.DateTimeField(blank=True, null=True)),
                    ('end_reason', models.CharField(blank=True, max_length=500)),
                    ('request_id', models.UUIDField(blank=True, null=True)),
                    ('adopted_from', models.UUIDField(blank=True, null=True)),
                    ('created_at', models.DateTimeField(auto_now_add=True)),
                    ('version', models.PositiveIntegerField(default=1)),
                ],
                options={
                    'indexes': [models.Index(condition=models.Q(('ended_at', None)), fields=['expires_at'], name='grant_due'), models.Index(condition=models.Q(('ended_at__isnull', False)), fields=['-ended_at', 'id'], name='grant_ended'), models.Index(condition=models.Q(('adopted_from__isnull', False)), fields=['adopted_from'], name='grant_adopted'), models.Index(fields=['-created_at', '-id'], name='grant_page'), models.Index(fields=['state', '-created_at', '-id'], name='grant_page_of_state')],
                    'constraints': [models.CheckConstraint(condition=models.Q(('expires_at__gt', models.F('starts_at'))), name='grant_ends_after_it_starts'), models.CheckConstraint(condition=models.Q(('adopted_from', None), ('expires_at__lte', django.db.models.expressions.CombinedExpression(models.F('starts_at'), '+', models.Value(datetime.timedelta(days=30)))), _connector='OR'), name='adopted_grant_lasts_thirty_days_at_most'), models.CheckConstraint(condition=models.Q(('ended_at', None), models.Q(('end_reason', ''), _negated=True), _connector='OR'), name='ended_grant_says_why'), models.CheckConstraint(condition=models.Q(models.Q(('ended_at', None), ('state__in', ['active', 'suspended'])), models.Q(('ended_at__isnull', False), ('state__in', ['revoked', 'expired'])), _connector='OR'), name='grant_has_ended_exactly_when_revoked_or_expired'), models.UniqueConstraint(condition=models.Q(('ended_at', None)), fields=('agent', 'entitlement', 'subjects_digest'), name='one_open_grant_per_agent_entitlement_and_people'), models.UniqueConstraint(condition=models.Q(('request_id__isnull', False)), fields=('request_id',), name='one_grant_per_request')],
                },
            ),
            migrations.CreateModel(
                name='GrantSubject',
                fields=[
                    ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                    ('grant', models.ForeignKey(on_delete=django.db.models.deletion.CASCADE, related_name='subjects', to='entitlements.grant')),
                    ('person', models.ForeignKey(blank=True, null=True, on_delete=django.db.models.deletion.PROTECT, related_name='grant_subjects', to=settings.AUTH_USER_MODEL)),
                    ('group', models.ForeignKey(blank=True, null=True, on_delete=django.db.models.deletion.PROTECT, related_name='grant_subjects', to='entitlements.group')),
                ],
                options={
                    'constraints': [models.CheckConstraint(condition=models.Q(models.Q(('group__isnull', False), ('person__isnull', True)), models.Q(('group__isnull', True), ('person__isnull', False)), _connector='OR'), name='grant_subject_is_a_person_or_a_group'), models.UniqueConstraint(fields=('grant', 'person'), name='a_person_is_in_a_grant_once'), models.UniqueConstraint(fields=('grant', 'group'), name='a_group_is_in_a_grant_once')],
                },
            ),
            migrations.CreateModel(
                name='GrantLine',
                fields=[
                    ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                    ('grant', models.ForeignKey(on_delete=django.db.models.deletion.CASCADE, related_name='lines', to='entitlements.grant')),
                    ('tool', models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, related_name='grant_lines', to='entitlements.tool')),
                    ('limits', models.JSONField(default=dict)),
                ],
                options={
                    'indexes': [models.Index(fields=['tool', 'grant'], name='line_of_tool')],
                    'constraints': [models.UniqueConstraint(fields=('grant', 'tool'), name='a_tool_is_in_a_grant_once')],
                },
            ),
            migrations.CreateModel(
                name='CatalogImport',
                fields=[
                    ('id', models.UUIDField(default=uuid.uuid4, editable=False, primary_key=True, serialize=False)),
                    ('file_name', models.CharField(max_length=200)),
                    ('sha256', models.CharField(max_length=64)),
                    ('size', models.PositiveIntegerField()),
                    ('form', models.CharField(max_length=32)),
                    ('owner', models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, related_name='+', to=settings.AUTH_USER_MODEL)),
                    ('by', models.CharField(max_length=120)),
                    ('state', models.CharField(choices=[('preview', 'Waits for a yes'), ('running', 'Being taken in'), ('done', 'Done')], default='preview', max_length=16)),
                    ('systems', models.PositiveIntegerField()),
                    ('tools', models.PositiveIntegerField()),
                    ('position', models.PositiveIntegerField(default=0)),
                    ('counts', models.JSONField(default=dict)),
                    ('problems', models.JSONField(default=list)),
                    ('problems_left_out', models.PositiveIntegerField(default=0)),
                    ('offers', models.BinaryField(null=True)),
                    ('made_at', models.DateTimeField()),
                    ('confirmed_at', models.DateTimeField(blank=True, null=True)),
                    ('touched_at', models.DateTimeField()),
                    ('finished_at', models.DateTimeField(blank=True, null=True)),
                ],
                options={
                    'db_table': 'entitlements_catalogueimport',
                    'indexes': [models.Index(condition=models.Q(('state', 'done'), _negated=True), fields=['touched_at'], name='import_not_done')],
                    'constraints': [models.CheckConstraint(condition=models.Q(models.Q(('offers__isnull', True), ('state', 'done')), models.Q(models.Q(('state', 'done'), _negated=True), ('offers__isnull', False)), _connector='OR'), name='an_import_holds_what_it_still_has_to_take_in')],
                },
            ),
            migrations.CreateModel(
                name='SigningKey',
                fields=[
                    ('kid', models.CharField(max_length=64, primary_key=True, serialize=False)),
                    ('issuer', models.CharField(db_index=True, max_length=300)),
                    ('algorithm', models.CharField(default='ES256', max_length=16)),
                    ('public', models.JSONField()),
                    ('sealed_private', models.BinaryField()),
                    ('state', models.CharField(choices=[('next', 'Published, not used yet'), ('active', 'Signs'), ('retired', 'Published until the last token died'), ('withdrawn', 'Denied at once')], max_length=16)),
                    ('created_at', models.DateTimeField()),
                    ('activates_at', models.DateTimeField()),
                    ('retires_at', models.DateTimeField(blank=True, null=True)),
                    ('withdrawn_at', models.DateTimeField(blank=True, null=True)),
                    ('compromised_since', models.DateTimeField(blank=True, null=True)),
                ],
                options={
                    'constraints': [models.CheckConstraint(condition=models.Q(('compromised_since', None), ('state', 'withdrawn'), _connector='OR'), name='only_a_denied_key_is_compromised'), models.UniqueConstraint(condition=models.Q(('state', 'active')), fields=('issuer', 'algorithm'), name='one_active_key_per_issuer')],
                },
            ),
            migrations.CreateModel(
                name='Secret',
                fields=[
                    ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                    ('system', models.OneToOneField(on_delete=django.db.models.deletion.CASCADE, related_name='secret', to='entitlements.system')),
                    ('kind', models.CharField(choices=[('bearer', 'Bearer token'), ('header', 'Header')], default='bearer', max_length=16)),
                    ('header', models.CharField(default='Authorization', max_length=64)),
                    ('sealed', models.BinaryField()),
                    ('last_four', models.CharField(max_length=4)),
                    ('fingerprint', models.CharField(max_length=16)),
                    ('changed_at', models.DateTimeField()),
                    ('withheld_at', models.DateTimeField(blank=True, null=True)),
                ],
            ),
            migrations.CreateModel(
                name='GroupMapping',
                fields=[
                    ('id', models.UUIDField(default=uuid.uuid4, editable=False, primary_key=True, serialize=False)),
                    ('issuer', models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, related_name='+', to='entitlements.trustedissuer')),
                    ('claim', models.CharField(max_length=200)),
                    ('value', models.CharField(max_length=300)),
                    ('role', models.CharField(choices=[('analyst', 'Analyst'), ('approver', 'Approver'), ('security', 'Security approver'), ('responder', 'Responder'), ('auditor', 'Auditor'), ('admin', 'Platform admin')], max_length=16)),
                    ('made_at', models.DateTimeField()),
                    ('proposed_by', models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, related_name='+', to=settings.AUTH_USER_MODEL)),
                    ('confirmed_by', models.ForeignKey(blank=True, null=True, on_delete=django.db.models.deletion.PROTECT, related_name='+', to=settings.AUTH_USER_MODEL)),
                    ('confirmed_at', models.DateTimeField(blank=True, null=True)),
                    ('ended_at', models.DateTimeField(blank=True, null=True)),
                ],
                options={
                    'db_table': 'entitlements_rolemapping',
                    'constraints': [models.UniqueConstraint(condition=models.Q(('ended_at', None)), fields=('issuer', 'claim', 'value', 'role'), name='a_group_gives_a_role_by_one_row'), models.CheckConstraint(condition=models.Q(('role__in', ['analyst', 'approver', 'security', 'responder'])), name='a_group_gives_no_role_that_stands_alone'), models.CheckConstraint(condition=models.Q(models.Q(('confirmed_at', None), ('confirmed_by', None)), models.Q(('confirmed_at__isnull', False), ('confirmed_by__isnull', False), models.Q(('confirmed_by', models.F('proposed_by')), _negated=True)), _connector='OR'), name='two_people_put_a_mapping_in_force')],
                },
            ),
            migrations.CreateModel(
                name='PeopleSource',
                fields=[
                    ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                    ('slug', models.SlugField(max_length=64, unique=True)),
                    ('name', models.CharField(max_length=200)),
                    ('subjects_of', models.ForeignKey(blank=True, null=True, on_delete=django.db.models.deletion.PROTECT, related_name='+', to='entitlements.trustedissuer')),
                    ('digest', models.CharField(max_length=64, unique=True)),
                    ('enabled', models.BooleanField(default=True)),
                    ('created_at', models.DateTimeField()),
                    ('seen_at', models.DateTimeField(blank=True, null=True)),
                    ('changed_at', models.DateTimeField(blank=True, null=True)),
                    ('paused_at', models.DateTimeField(blank=True, null=True)),
                    ('answered_at', models.DateTimeField(blank=True, null=True)),
                ],
            ),
            migrations.CreateModel(
                name='SourcedPerson',
                fields=[
                    ('id', models.UUIDField(default=uuid.uuid4, editable=False, primary_key=True, serialize=False)),
                    ('source', models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, related_name='people', to='entitlements.peoplesource')),
                    ('person', models.OneToOneField(on_delete=django.db.models.deletion.PROTECT, related_name='sourced', to=settings.AUTH_USER_MODEL)),
                    ('user_name', models.CharField(max_length=254)),
                    ('external_id', models.CharField(blank=True, max_length=255)),
                    ('manager_said', models.CharField(blank=True, max_length=255)),
                    ('said', models.JSONField(default=dict)),
                    ('active', models.BooleanField(default=True)),
                    ('left_at', models.DateTimeField(blank=True, null=True)),
                    ('version', models.PositiveIntegerField(default=1)),
                    ('created_at', models.DateTimeField()),
                    ('changed_at', models.DateTimeField()),
                    ('removed_at', models.DateTimeField(blank=True, null=True)),
                    ('held_at', models.DateTimeField(blank=True, null=True)),
                ],
                options={
                    'indexes': [models.Index(fields=['source', 'manager_said'], name='sourced_person_manager')],
                    'constraints': [models.UniqueConstraint(models.F('source'), django.db.models.functions.text.Lower('user_name'), condition=models.Q(('removed_at', None)), name='a_source_has_one_person_of_a_user_name'), models.UniqueConstraint(condition=models.Q(('removed_at', None), models.Q(('external_id', ''), _negated=True)), fields=('source', 'external_id'), name='a_source_has_one_person_of_an_external_id'), models.CheckConstraint(condition=models.Q(('removed_at', None), ('active', False), _connector='OR'), name='whoever_a_source_removed_is_not_active_there'), models.CheckConstraint(condition=models.Q(('held_at', None), ('active', True), _connector='OR'), name='only_who_is_still_active_there_is_held')],
                },
            ),
            migrations.CreateModel(
                name='SourcedGroup',
                fields=[
                    ('id', models.UUIDField(default=uuid.uuid4, editable=False, primary_key=True, serialize=False)),
                    ('source', models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, related_name='groups', to='entitlements.peoplesource')),
                    ('group', models.OneToOneField(on_delete=django.db.models.deletion.PROTECT, related_name='sourced', to='entitlements.group')),
                    ('external_id', models.CharField(blank=True, max_length=255)),
                    ('version', models.PositiveIntegerField(default=1)),
                    ('created_at', models.DateTimeField()),
                    ('changed_at', models.DateTimeField()),
                    ('removed_at', models.DateTimeField(blank=True, null=True)),
                ],
                options={
                    'constraints': [models.UniqueConstraint(condition=models.Q(('removed_at', None), models.Q(('external_id', ''), _negated=True)), fields=('source', 'external_id'), name='a_source_has_one_group_of_an_external_id')],
                },
            ),
            migrations.CreateModel(
                name='Session',
                fields=[
                    ('id', models.UUIDField(default=uuid.uuid4, editable=False, primary_key=True, serialize=False)),
                    ('agent', models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, related_name='sessions', to='entitlements.agent')),
                    ('client', models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, related_name='sessions', to=settings.OAUTH2_PROVIDER_APPLICATION_MODEL)),
                    ('person', models.ForeignKey(blank=True, null=True, on_delete=django.db.models.deletion.PROTECT, related_name='agent_sessions', to=settings.AUTH_USER_MODEL)),
                    ('sign_in_sha256', models.CharField(max_length=64)),
                    ('started_at', models.DateTimeField()),
                    ('last_used_at', models.DateTimeField()),
                    ('idle_seconds', models.PositiveIntegerField(default=3600)),
                    ('expires_at', models.DateTimeField()),
                    ('auth_time', models.DateTimeField(blank=True, null=True)),
                    ('risk', models.CharField(default='low', max_length=16)),
                    ('labels', models.JSONField(default=list)),
                    ('ended_at', models.DateTimeField(blank=True, null=True)),
                    ('end_reason', models.CharField(blank=True, max_length=500)),
                ],
                options={
                    'indexes': [models.Index(condition=models.Q(('ended_at', None)), fields=['agent'], name='session_of_agent'), models.Index(fields=['-started_at', '-id'], name='session_page')],
                    'constraints': [models.CheckConstraint(condition=models.Q(('ended_at', None), models.Q(('end_reason', ''), _negated=True), _connector='OR'), name='ended_session_says_why'), models.UniqueConstraint(condition=models.Q(('ended_at', None)), fields=('client', 'sign_in_sha256'), name='one_open_session_per_client_and_sign_in')],
                },
            ),
            migrations.CreateModel(
                name='IssuedToken',
                fields=[
                    ('jti', models.UUIDField(default=uuid.uuid4, editable=False, primary_key=True, serialize=False)),
                    ('kind', models.CharField(choices=[('id_jag', 'ID-JAG'), ('access_token', 'Access token')], max_length=16)),
                    ('system', models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, related_name='+', to='entitlements.system')),
                    ('client', models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, related_name='+', to=settings.OAUTH2_PROVIDER_APPLICATION_MODEL)),
                    ('agent', models.ForeignKey(blank=True, null=True, on_delete=django.db.models.deletion.PROTECT, related_name='tokens', to='entitlements.agent')),
                    ('person', models.ForeignKey(blank=True, null=True, on_delete=django.db.models.deletion.PROTECT, related_name='+', to=settings.AUTH_USER_MODEL)),
                    ('session', models.ForeignKey(blank=True, null=True, on_delete=django.db.models.deletion.PROTECT, related_name='tokens', to='entitlements.session')),
                    ('scope', models.TextField(blank=True)),
                    ('parent', models.UUIDField(blank=True, null=True)),
                    ('issued_at', models.DateTimeField()),
                    ('expires_at', models.DateTimeField()),
                    ('revoked_at', models.DateTimeField(blank=True, null=True)),
                    ('revoke_reason', models.CharField(blank=True, max_length=500)),
                    ('trace', models.CharField(blank=True, max_length=32)),
                ],
                options={
                    'indexes': [models.Index(fields=['-issued_at', '-jti'], name='token_page'), models.Index(condition=models.Q(('revoked_at', None)), fields=['agent', 'expires_at'], name='token_of_agent'), models.Index(condition=models.Q(('revoked_at', None)), fields=['session'], name='token_of_session'), models.Index(condition=models.Q(('parent__isnull', False)), fields=['parent'], name='token_of_parent')],
                    'constraints': [models.CheckConstraint(condition=models.Q(('expires_at__gt', models.F('issued_at'))), name='token_ends_after_it_is_issued'), models.CheckConstraint(condition=models.Q(('revoked_at', None), models.Q(('revoke_reason', ''), _negated=True), _connector='OR'), name='revoked_token_says_why')],
                },
            ),
            migrations.CreateModel(
                name='TokenGrant',
                fields=[
                    ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                    ('token', models.ForeignKey(on_delete=django.db.models.deletion.CASCADE, related_name='draws_on', to='entitlements.issuedtoken')),
                    ('grant', models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, related_name='tokens', to='entitlements.grant')),
                ],
                options={
                    'constraints': [models.UniqueConstraint(fields=('token', 'grant'), name='a_token_draws_on_a_grant_once')],
                },
            ),
            migrations.CreateModel(
                name='UsedAssertion',
                fields=[
                    ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                    ('issuer', models.CharField(max_length=300)),
                    ('jti', models.CharField(max_length=255)),
                    ('expires_at', models.DateTimeField(db_index=True)),
                ],
                options={
                    'constraints': [models.UniqueConstraint(fields=('issuer', 'jti'), name='an_assertion_is_used_once')],
                },
            ),
            migrations.CreateModel(
                name='IdempotentAnswer',
                fields=[
                    ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                    ('principal', models.CharField(max_length=120)),
                    ('key', models.CharField(max_length=255)),
                    ('fingerprint', models.CharField(max_length=64)),
                    ('status', models.PositiveSmallIntegerField(null=True)),
                    ('body', models.JSONField(null=True)),
                    ('headers', models.JSONField(default=dict)),
                    ('created_at', models.DateTimeField(auto_now_add=True)),
                ],
                options={
                    'constraints': [models.UniqueConstraint(fields=('principal', 'key'), name='one_answer_per_principal_and_key')],
                },
            ),
            migrations.CreateModel(
                name='UnmanagedAgent',
                fields=[
                    ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                    ('key', models.CharField(max_length=300, unique=True)),
                    ('name', models.CharField(max_length=200)),
                    ('client_id', models.CharField(blank=True, max_length=255)),
                    ('state', models.CharField(choices=[('unmatched', 'Nobody answers for it'), ('matched', 'One of ours'), ('blocked', 'Blocked')], default='unmatched', max_length=16)),
                    ('agent', models.ForeignKey(blank=True, null=True, on_delete=django.db.models.deletion.PROTECT, related_name='seen_as', to='entitlements.agent')),
                    ('because', models.CharField(blank=True, max_length=32)),
                    ('source', models.CharField(max_length=32)),
                    ('first_seen_at', models.DateTimeField()),
                    ('last_seen_at', models.DateTimeField()),
                    ('decided_by', models.CharField(blank=True, max_length=120)),
                    ('decided_at', models.DateTimeField(blank=True, null=True)),
                    ('reason', models.CharField(blank=True, max_length=500)),
                ],
                options={
                    'db_table': 'entitlements_seenagent',
                    'indexes': [models.Index(fields=['-last_seen_at', '-id'], name='seen_agent_page')],
                    'constraints': [models.CheckConstraint(condition=models.Q(models.Q(('agent__isnull', False), ('state', 'matched')), models.Q(models.Q(('state', 'matched'), _negated=True), ('agent', None)), _connector='OR'), name='a_seen_agent_is_matched_exactly_when_it_is_ours'), models.CheckConstraint(condition=models.Q(models.Q(('state', 'blocked'), _negated=True), models.Q(models.Q(('decided_by', ''), _negated=True), models.Q(('reason', ''), _negated=True), ('decided_at__isnull', False)), _connector='OR'), name='whoever_blocks_a_seen_agent_says_why')],
                },
            ),
            migrations.CreateModel(
                name='Workflow',
                fields=[
                    ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                    ('agent', models.ForeignKey(blank=True, null=True, on_delete=django.db.models.deletion.CASCADE, related_name='workflows', to='entitlements.agent')),
                    ('seen', models.ForeignKey(blank=True, null=True, on_delete=django.db.models.deletion.CASCADE, related_name='workflows', to='entitlements.unmanagedagent')),
                    ('system', models.ForeignKey(on_delete=django.db.models.deletion.CASCADE, related_name='workflows', to='entitlements.system')),
                    ('origin', models.CharField(choices=[('grant', 'A grant'), ('seen', 'Seen elsewhere')], max_length=8)),
                    ('state', models.CharField(choices=[('known', 'Known, not governed'), ('adopted', 'Adopted, not moved yet'), ('governed', 'Governed')], max_length=16)),
                    ('changed_at', models.DateTimeField()),
                    ('changed_by', models.CharField(blank=True, max_length=120)),
                    ('adopted_from', models.UUIDField(blank=True, null=True)),
                    ('last_used_at', models.DateTimeField(blank=True, null=True)),
                ],
                options={
                    'indexes': [models.Index(condition=models.Q(('state', 'governed'), _negated=True), fields=['id'], name='workflow_not_governed')],
                    'constraints': [models.CheckConstraint(condition=models.Q(models.Q(('agent', None), ('seen__isnull', False)), models.Q(('agent__isnull', False), ('seen', None)), _connector='OR'), name='a_workflow_is_of_an_agent_or_of_one_that_was_seen'), models.CheckConstraint(condition=models.Q(('seen', None), models.Q(('origin', 'seen'), ('state', 'known')), _connector='OR'), name='what_was_only_seen_is_not_governed'), models.UniqueConstraint(condition=models.Q(('agent__isnull', False)), fields=('agent', 'system', 'origin'), name='one_workflow_per_agent_system_and_origin'), models.UniqueConstraint(condition=models.Q(('seen__isnull', False)), fields=('seen', 'system'), name='one_workflow_per_seen_agent_and_system')],
                },
            ),
            migrations.CreateModel(
                name='PathTerms',
                fields=[
                    ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                    ('system', models.ForeignKey(on_delete=django.db.models.deletion.CASCADE, related_name='path_terms', to='entitlements.system')),
                    ('path', models.CharField(choices=[('native', 'Native token'), ('gateway', 'Gateway'), ('known', 'Known, not governed')], max_length=8)),
                    ('token_basis', models.CharField(choices=[('declared', 'Declared'), ('measured', 'Measured'), ('unknown', 'Unknown')], default='unknown', max_length=16)),
                    ('token_seconds', models.PositiveIntegerField(blank=True, null=True)),
                    ('session_seconds', models.PositiveIntegerField(blank=True, null=True)),
                    ('reauthentication_seconds', models.PositiveIntegerField(blank=True, null=True)),
                    ('stop_seconds', models.PositiveIntegerField(blank=True, null=True)),
                    ('bypass', models.CharField(choices=[('tested', 'Tested'), ('attested', 'Attested'), ('no', 'No')], default='no', max_length=16)),
                    ('said_by', models.CharField(max_length=120)),
                    ('said_at', models.DateTimeField()),
                    ('reason', models.CharField(max_length=500)),
                ],
                options={
                    'constraints': [models.UniqueConstraint(fields=('system', 'path'), name='one_word_on_each_path_to_a_system'), models.CheckConstraint(condition=models.Q(models.Q(('token_basis', 'unknown'), ('token_seconds', None)), models.Q(models.Q(('token_basis', 'unknown'), _negated=True), ('token_seconds__isnull', False)), _connector='OR'), name='an_unknown_token_life_is_no_time'), models.CheckConstraint(condition=models.Q(('reason', ''), _negated=True), name='a_word_on_a_path_says_why')],
                },
            ),
        ]),
    ]
