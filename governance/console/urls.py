"""The console's addresses. Pages end in a slash."""

from __future__ import annotations

from allauth.account import views as account
from allauth.socialaccount.providers.openid_connect import views as company
from django.urls import URLPattern, URLResolver, include, path

from entitlements.catalog.addresses import TOOL
from governance.agent_discovery import pages as discovery_pages
from governance.agents.pages import agent_list, agents
from governance.agents.pages import registration as registration_pages
from governance.agents.pages import review as review_of_selected
from governance.approval_policies import pages as approval_policy_pages
from governance.audit_log.pages import explorer as audit_log_pages
from governance.audit_log.pages import restored as restored_pages
from governance.blast_radius import pages as blast_radius_pages
from governance.break_glass import pages as break_glass_pages
from governance.budgets import urls as budgets_urls
from governance.catalog.pages import (
    catalogue,
    entitlement_list,
    imports,
    networks,
    systems,
    tool_list,
    triage,
    vendors,
)
from governance.catalog.pages import credential as credential_pages
from governance.catalog.pages import entitlements as entitlements_pages
from governance.catalog.pages import registration as registration_pages_pages
from governance.chat import pages as chat_pages
from governance.clients.pages import clients, credentials, workload_rules
from governance.clients.pages import documents as client_documents
from governance.connect.pages import connect, rollout
from governance.connected_accounts import urls as connected_accounts_urls
from governance.connections import pages as connections_pages
from governance.connectors.pages import connectors as connector_pages
from governance.coverage_map.pages import coverage_map as coverage_map_pages
from governance.coverage_map.pages import reconciliation as reconciliation_pages
from governance.credential_policy import pages as credential_policy_pages
from governance.decisions import urls as decisions_urls
from governance.decoys import urls as decoys_urls
from governance.exceptions import pages as exceptions_pages
from governance.grants.pages import grant_list
from governance.grants.pages import grants as grant_pages
from governance.guardrails import urls as guardrails_urls
from governance.home_page import pages as home_page_pages
from governance.notices import pages as notice_pages
from governance.onboarding import pages as onboarding_pages
from governance.out_of_office import pages as out_of_office_pages
from governance.people.pages import groups, people, people_list, sources
from governance.people.pages import role_maps as role_maps_pages
from governance.policy_domains import urls as policy_domains_urls
from governance.posture_report import urls as posture_urls
from governance.proposals import urls as proposals_urls
from governance.request_changes.pages import edit as edit_pages
from governance.request_changes.pages import renewal as renewal_pages
from governance.requests.pages import ask as ask_pages
from governance.requests.pages import request_list, requests
from governance.rest_apis import pages as rest_apis
from governance.reviews.campaigns.pages import campaigns as campaigns_pages
from governance.reviews.campaigns.pages import items as review_items
from governance.reviews.campaigns.pages import lifecycle as lifecycle_pages
from governance.reviews.campaigns.pages import overview as overview_pages
from governance.reviews.campaigns.pages import reviewers as reviewer_pages
from governance.reviews.campaigns.pages import settings as review_settings
from governance.reviews.decisions.pages import attention as attention_pages
from governance.reviews.decisions.pages import bulk as bulk_pages
from governance.reviews.decisions.pages import submission as submission_pages
from governance.reviews.decisions.pages import workbench
from governance.reviews.discussion import pages as discussion_pages
from governance.reviews.event_triggered import pages as event_triggered_pages
from governance.reviews.evidence.pages import audit as audit_pages
from governance.reviews.evidence.pages import evidence
from governance.reviews.items import pages as item_pages
from governance.reviews.reports import pages as report_pages
from governance.reviews.spot_checks import pages as spot_check_pages
from governance.reviews.staging import pages as staging_pages
from governance.reviews.templates import pages as template_pages
from governance.reviews.usage import pages as usage_pages
from governance.reviews.workbench import pages as workbench_pages
from governance.revocations import urls as revocations_urls
from governance.risk import urls as risk_urls
from governance.saved_views import pages as saved_view_pages
from governance.search import pages as search_pages
from governance.session_policies import urls as session_policies_urls
from governance.sessions import urls as sessions_urls
from governance.setup import pages as setup_pages
from governance.sign_in import company_sign_in
from governance.sign_in.pages import company_proof as company_proof_pages
from governance.sign_in.pages import passwords, profile, welcome
from governance.sod import urls as sod_urls
from governance.stdio_commands.pages import commands as stdio_commands
from governance.stdio_commands.pages import registration as local_servers
from governance.tickets import pages as ticket_pages
from governance.token_health.pages import findings as findings_pages
from governance.token_health.pages import token_list
from governance.trusted_issuers.pages import issuers as trusted_issuers
from governance.webhooks import pages as webhook_pages

SIGN_IN: list[URLPattern | URLResolver] = [
    path("login/", account.login, name="account_login"),
    path("welcome/<str:token>/", welcome.welcome, name="welcome"),
    path("logout/", account.logout, name="account_logout"),
    path("login/disabled/", account.account_inactive, name="account_inactive"),
    path("login/again/", account.reauthenticate, name="account_reauthenticate"),
    path("login/again/company/", company_proof_pages.at_the_company, name="company_again"),
    path("login/<slug:provider_id>/", company.login, name="openid_connect_login"),
    path("login/<slug:provider_id>/callback/", company_sign_in.answer, name="openid_connect_callback"),
    path("settings/password/", passwords.change, name="account_change_password"),
    path("settings/sign-in/", include("allauth.mfa.urls")),
]

urlpatterns: list[URLPattern | URLResolver] = [
    *SIGN_IN,
    path("", home_page_pages.home, name="home"),
    path("search/", search_pages.search, name="search"),
    path("search/options/", search_pages.options, name="search-options"),
    path("audit/", audit_log_pages.explorer, name="audit"),
    path("audit/restored/", restored_pages.page, name="restored"),
    *decisions_urls.PAGES,
    path("reviews/", campaigns_pages.listing, name="review-list"),
    path("reviews/new/", staging_pages.new, name="review-new"),
    path("reviews/templates/", template_pages.listing, name="review-templates"),
    path("reviews/templates/<slug:slug>/edit/", template_pages.edit, name="review-template-edit"),
    path("reviews/templates/<slug:slug>/start/", template_pages.start, name="review-template-start"),
    path("reviews/templates/<slug:slug>/stop/", template_pages.stop, name="review-template-stop"),
    path("reviews/<slug:slug>/duplicate/", template_pages.duplicate, name="review-duplicate"),
    path("reviews/<slug:slug>/", overview_pages.overview, name="review-page"),
    path("reviews/<slug:slug>/items/", review_items.items, name="review-items"),
    path("reviews/<slug:slug>/reviewers/", reviewer_pages.listing, name="review-reviewers"),
    path("reviews/<slug:slug>/settings/", review_settings.settings, name="review-settings"),
    path("reviews/<slug:slug>/stage/", lifecycle_pages.stage, name="review-stage"),
    path("reviews/<slug:slug>/activate/", lifecycle_pages.activate, name="review-activate"),
    path("reviews/<slug:slug>/pause/", lifecycle_pages.pause, name="review-pause"),
    path("reviews/<slug:slug>/remind/", lifecycle_pages.remind, name="review-remind"),
    path("reviews/<slug:slug>/give/", reviewer_pages.give, name="review-give"),
    path("reviews/<slug:slug>/resume/", lifecycle_pages.resume, name="review-resume"),
    path("reviews/<slug:slug>/cancel/", lifecycle_pages.cancel, name="review-cancel"),
    path("reviews/<slug:slug>/close/", lifecycle_pages.close, name="review-close"),
    path("right-sizing/", usage_pages.listing, name="right-sizing-page"),
    path("grants/<uuid:pk>/right-size/", usage_pages.apply, name="grant-right-size-page"),
    path("event-triggered-reviews/", campaigns_pages.event_triggered, name="event-triggered-list"),
    path("event-triggered-reviews/<slug:slug>/", event_triggered_pages.detail, name="review-one"),
    path("reviews/<slug:slug>/work/", workbench.work, name="review-work"),
    path("reviews/<slug:slug>/submit/", submission_pages.submit, name="review-submit"),
    path("reviews/<slug:slug>/bulk/", bulk_pages.many, name="review-bulk"),
    path("reviews/<slug:slug>/items/<uuid:item>/looked/", attention_pages.looked, name="review-looked"),
    path("reviews/<slug:slug>/items/<uuid:item>/narrow/", attention_pages.narrow, name="review-narrow"),
    path("reviews/<slug:slug>/items/<uuid:item>/hand-on/", attention_pages.hand_on, name="review-hand-on"),
    path("reviews/<slug:slug>/items/<uuid:item>/comment/", discussion_pages.comment, name="review-comment"),
    path("reviews/<slug:slug>/items/<uuid:item>/ask/", discussion_pages.ask, name="review-ask"),
    path("review-questions/<uuid:question>/", discussion_pages.question, name="review-question"),
    path("reviews/<slug:slug>/items/<uuid:item>/draft/", workbench.draft, name="review-draft"),
    path("spot-checks/", spot_check_pages.listing, name="spot-checks"),
    path("spot-checks/<uuid:check>/", spot_check_pages.check, name="spot-check"),
    path("reviews/<slug:slug>/spot-checks/", spot_check_pages.switch_on, name="review-spot-checks"),
    path(
        "reviews/<slug:slug>/spot-checks/<uuid:check>/follow-up/",
        spot_check_pages.follow_up,
        name="review-spot-follow-up",
    ),
    path("reviews/<slug:slug>/release/", item_pages.release, name="review-release"),
    path("reviews/<slug:slug>/items/<uuid:item>/", item_pages.detail, name="review-item-page"),
    path("reviews/<slug:slug>/items/<uuid:item>/act/", item_pages.act, name="review-item-act"),
    path("reviews/<slug:slug>/items/<uuid:item>/recall/", workbench.recall, name="review-recall"),
    path("reviews/<slug:slug>/items/<uuid:item>/claim/", item_pages.claim, name="review-claim"),
    path("reviews/<slug:slug>/items/<uuid:item>/reassign/", reviewer_pages.reassign, name="review-reassign"),
    path("reviews/<slug:slug>/due.ics", lifecycle_pages.due, name="review-calendar"),
    path("reviews/<slug:slug>/compare/", report_pages.compare, name="review-compare"),
    path("reviews/<slug:slug>/evidence/", evidence.evidence, name="review-evidence"),
    path("reviews/<slug:slug>/evidence.csv", evidence.export, {"form": "csv"}, name="review-csv"),
    path("reviews/<slug:slug>/evidence.json", evidence.export, {"form": "json"}, name="review-json"),
    path("reviews/<slug:slug>/seal/", evidence.seal, name="review-seal"),
    path("reviews/<slug:slug>/audit/", audit_pages.workspace, name="review-audit"),
    path("audit/samples/<uuid:sample>/", audit_pages.sample, name="review-sample"),
    path("audit/samples/<uuid:sample>.csv", audit_pages.workpaper, {"form": "csv"}, name="review-workpaper"),
    path("audit/samples/<uuid:sample>.json", audit_pages.workpaper, {"form": "json"}, name="review-workpaper-json"),
    path("reviews/<slug:slug>/evidence.zip", evidence.pack, name="review-pack"),
    path("entitlements/", catalogue.catalogue, name="catalogue"),
    path("entitlements/all/", entitlement_list.listing, name="entitlement-list"),
    path("requests/", request_list.listing, name="request-list"),
    path("requests/new/", ask_pages.ask, name="ask"),
    path("requests/<uuid:pk>/", requests.detail, name="request-page"),
    path("requests/<uuid:pk>/edit/", edit_pages.edit, name="request-edit"),
    path("break-glass/", break_glass_pages.listing, name="emergency-list"),
    path("break-glass/declare/", break_glass_pages.declare, name="emergency-declare"),
    path("break-glass/<uuid:pk>/", break_glass_pages.one, name="emergency-page"),
    path("blast-radius/", blast_radius_pages.organisation, name="blast-radius"),
    path("views/", saved_view_pages.create, name="view-save"),
    path("views/<uuid:pk>/delete/", saved_view_pages.delete, name="view-delete"),
    path("blast-radius/<slug:kind>/review/", review_of_selected.of_selected, name="review-of-selected"),
    path("agents/", agent_list.listing, name="agent-list"),
    path("agents/add/", registration_pages.add, name="agent-add"),
    path("agents/<slug:slug>/", agents.detail, name="agent-page"),
    path("agents/<slug:slug>/edit/", registration_pages.edit, name="agent-edit"),
    path("agents/<slug:slug>/people/", registration_pages.appoint, name="agent-people"),
    path("agents/<slug:slug>/activate/", agents.activate, name="agent-activate-page"),
    path("agents/<slug:slug>/criticality/", agents.rate, name="agent-rate"),
    path("agents/<slug:slug>/delegates/", agents.delegate, name="agent-delegate"),
    path("delegations/<uuid:pk>/withdraw/", agents.withdraw_delegation, name="agent-delegate-withdraw"),
    path("agents/<slug:slug>/needed/", agents.needed, name="agent-needed"),
    path("proposals/<uuid:pk>/", registration_pages.answer, name="proposal-page"),
    path("agents/<slug:slug>/clients/add/", clients.add, name="client-add"),
    path("agents/<slug:slug>/clients/<path:client_id>/", clients.detail, name="client-page"),
    path(
        "workload-rules/add/<slug:slug>/<slug:platform>/<path:client_id>/",
        workload_rules.add,
        name="workload-rule-add",
    ),
    path("workload-rules/<uuid:pk>/end/", workload_rules.end, name="workload-rule-end-page"),
    path("settings/clients/", client_documents.listing, name="client-settings"),
    path("settings/clients/propose/", client_documents.propose, name="client-host-propose"),
    path("settings/clients/hosts/<uuid:host>/", client_documents.decide_host, name="client-host-decide"),
    path("settings/clients/documents/<int:document>/", client_documents.decide, name="client-document-page"),
    path("settings/trusted-issuers/", trusted_issuers.listing, name="trusted-issuers-page"),
    path("settings/trusted-issuers/propose/", trusted_issuers.propose, name="trusted-issuer-propose"),
    path("settings/trusted-issuers/<uuid:issuer>/", trusted_issuers.decide, name="trusted-issuer-decide"),
    *proposals_urls.PAGES,
    *session_policies_urls.PAGES,
    path("settings/local-servers/", stdio_commands.listing, name="stdio-commands-page"),
    path("settings/local-servers/propose/", stdio_commands.propose, name="stdio-command-propose"),
    path("settings/local-servers/<uuid:command>/", stdio_commands.decide, name="stdio-command-decide"),
    path("client-credentials/<uuid:pk>/", credentials.detail, name="credential-page"),
    path("agents/<slug:slug>/restore/", agents.restore, name="agent-start"),
    path("my-agents/", agents.mine, name="my-agents"),
    path("connections/", connections_pages.mine, name="my-connections"),
    *connected_accounts_urls.PAGES,
    path("people/<slug:login>/connections/", connections_pages.of_person, name="person-connections"),
    *sessions_urls.PAGES,
    path("grants/", grant_list.listing, name="grant-list"),
    path("grants/<uuid:pk>/", grant_pages.detail, name="grant-page"),
    path("grants/<uuid:pk>/narrow/", grant_pages.narrow, name="grant-narrow-page"),
    path("grants/<uuid:pk>/renew/", renewal_pages.renew, name="grant-renew"),
    path("requests/<uuid:pk>/again/", renewal_pages.again, name="request-again"),
    path("grants/<uuid:pk>/pause/", grant_pages.suspend, name="grant-pause"),
    path("grants/<uuid:pk>/resume/", grant_pages.restore, name="grant-resume"),
    path("onboarding/", onboarding_pages.listing, name="adoption-list"),
    path("onboarding/add/", onboarding_pages.add, name="adoption-add"),
    path("onboarding/compare/", reconciliation_pages.compare, name="adoption-compare"),
    path("onboarding/<uuid:pk>/", onboarding_pages.detail, name="adoption-page"),
    path("onboarding/seen/<int:number>/", onboarding_pages.decide, name="seen-decide"),
    path("coverage/", coverage_map_pages.listing, name="coverage-map"),
    path("coverage/map.csv", coverage_map_pages.table, name="coverage-csv"),
    path("coverage/<int:number>/", coverage_map_pages.detail, name="coverage-page"),
    path("token-health/", findings_pages.page, name="token-health"),
    path("token-health/tokens/", token_list.listing, name="token-list"),
    path("systems/", systems.listing, name="system-list"),
    path("systems/import/", imports.add, name="import-add"),
    path("systems/import/<uuid:pk>/", imports.detail, name="import-page"),
    path("systems/import/<uuid:pk>/start/", imports.start, name="import-start"),
    path("systems/add/", registration_pages_pages.add, name="system-add"),
    path("systems/add/local-server/", local_servers.add, name="local-server-add"),
    path("systems/add/rest-api/", rest_apis.add, name="rest-api-add"),
    path("systems/add/vendor/", vendors.add, name="vendor-add"),
    path("systems/<slug:slug>/", systems.detail, name="system-page"),
    path("systems/<slug:api>/openapi/", rest_apis.detail, name="rest-api-page"),
    path("systems/<slug:slug>/openapi/read/", rest_apis.read_document, name="rest-api-read"),
    path("systems/<slug:slug>/openapi/operations/", rest_apis.declare, name="rest-api-declare"),
    path("systems/<slug:slug>/vendor/", vendors.edit, name="vendor-edit"),
    path("systems/<slug:slug>/vendor/client/", vendors.name_client, name="vendor-name-client"),
    path("systems/<slug:slug>/vendor/person/", vendors.name_person, name="vendor-name-person"),
    path("systems/<slug:slug>/vendor/test-client/", vendors.set_test_client, name="vendor-test-client"),
    path("systems/<slug:slug>/vendor/test-trust/", vendors.test_trust, name="vendor-test-trust"),
    path("systems/<slug:slug>/edit/", registration_pages_pages.edit, name="system-edit"),
    path("systems/<slug:slug>/secret/", credential_pages.credential, name="system-credential"),
    path("systems/<slug:slug>/network/", networks.detail, name="system-network-page"),
    path("systems/<slug:slug>/network/<uuid:network>/", networks.decide, name="system-network-decide"),
    path("systems/<slug:slug>/connectors/", connector_pages.add, name="connector-add"),
    path(
        "systems/<slug:slug>/connectors/<uuid:connector>/revoke/",
        connector_pages.revoke,
        name="system-connector-revoke",
    ),
    path("systems/<slug:slug>/client-certificate/", networks.certificate, name="system-certificate-set"),
    path(
        "systems/<slug:slug>/client-certificate/forget/", networks.forget_certificate, name="system-certificate-forget"
    ),
    path("systems/<slug:slug>/entitlements/add/", entitlements_pages.add, name="entitlement-add"),
    path("systems/<slug:slug>/entitlements/<str:scope>/", entitlements_pages.edit, name="entitlement-edit"),
    path("systems/<slug:slug>/approve/", triage.approve_easy, name="approve-easy"),
    path("systems/<slug:slug>/approve-unchanged/", triage.approve_unchanged, name="approve-unchanged"),
    path("systems/<slug:slug>/triage/", triage.decide, name="tool-triage"),
    path("tools/", tool_list.listing, name="tool-list"),
    path("tool-changes/", triage.changes, name="tool-changes"),
    path("systems/<slug:slug>/stop-tools/", triage.stop, name="tools-stop"),
    path("systems/<slug:slug>/discover/", systems.discover, name="discover"),
    path("systems/<slug:slug>/start/", systems.start, name="system-start"),
    path(f"systems/<slug:slug>/tools/{TOOL}/", systems.tool, name="tool-page"),
    *posture_urls.PAGES,
    *policy_domains_urls.PAGES,
    *revocations_urls.PAGES,
    *sod_urls.PAGES,
    path("exceptions/", exceptions_pages.listing, name="exception-list"),
    *budgets_urls.PAGES,
    *decoys_urls.PAGES,
    *risk_urls.PAGES,
    path("connect/", connect.connect, name="connect"),
    path("connect/light/<path:client_id>/", connect.light, name="connect-light"),
    path("connect/rollout/", rollout.rollout, name="rollout"),
    path("connect/rollout/<str:name>", rollout.download, name="rollout-file"),
    path("inbox/", notice_pages.inbox, name="inbox"),
    path("inbox/read/", notice_pages.read_all, name="inbox-read-all"),
    path("inbox/<uuid:pk>/", notice_pages.open_notice, name="inbox-open"),
    path("inbox/<uuid:pk>/read/", notice_pages.read, name="inbox-read"),
    path("settings/", profile.profile, name="settings"),
    path("settings/credential-policy/", credential_policy_pages.detail, name="credential-policy-page"),
    path("settings/credential-policy/propose/", credential_policy_pages.propose, name="credential-policy-propose"),
    path(
        "settings/credential-policy/<uuid:proposal>/", credential_policy_pages.decide, name="credential-policy-decide"
    ),
    *guardrails_urls.PAGES,
    path("settings/tickets/", ticket_pages.settings, name="ticket-settings"),
    path("settings/approvals/", approval_policy_pages.listing, name="approval-settings"),
    path("settings/approvals/propose/", approval_policy_pages.propose, name="policy-propose"),
    path("settings/approvals/versions/<int:policy>/", approval_policy_pages.history, name="policy-history"),
    path("settings/approvals/<uuid:proposal>/", approval_policy_pages.decide, name="policy-decide"),
    path("settings/approvals/rules/propose/", approval_policy_pages.propose_rule, name="auto-approval-rule-propose"),
    path("settings/approvals/rules/<uuid:rule>/", approval_policy_pages.decide_rule, name="auto-approval-rule-decide"),
    path("settings/approvals/looks/<uuid:approval>/", approval_policy_pages.look, name="auto-approval-answer"),
    path("settings/agents/", agents.kinds, name="agent-kinds-page"),
    path("settings/delegations/", out_of_office_pages.listing, name="delegations"),
    path("settings/delegations/<uuid:delegation>/end/", out_of_office_pages.end, name="delegation-end"),
    path("settings/people-sources/", sources.listing, name="source-list"),
    path("settings/people-sources/<slug:slug>/", sources.detail, name="source-page"),
    path("settings/setup/", setup_pages.page, name="setup"),
    path("settings/setup/backup/attest/", setup_pages.attest, name="setup-backup"),
    path("settings/setup/invite/", setup_pages.invite, name="setup-invite"),
    path("settings/setup/sign-in/link/", setup_pages.link, name="setup-link"),
    path("settings/setup/sign-in/trust/", setup_pages.trust, name="setup-trust"),
    path("settings/setup/<slug:line>/test/", setup_pages.try_line, name="setup-test"),
    path("settings/tokens/", profile.make_token, name="make-token"),
    path("settings/tokens/<int:number>/end/", profile.revoke_token, name="end-token"),
    path("settings/notices/", notice_pages.settings, name="notice-settings-page"),
    path("settings/discovery/", discovery_pages.listing, name="discovery-list"),
    path("settings/discovery/add/<str:discovery_kind>/", discovery_pages.add, name="discovery-add"),
    path("settings/discovery/<slug:discovery>/", discovery_pages.detail, name="discovery-page"),
    path("settings/chat/", chat_pages.settings, name="chat-settings"),
    path("settings/notices/webhooks/", webhook_pages.listing, name="webhook-list"),
    path("settings/notices/webhooks/<slug:webhook>/", webhook_pages.endpoint_page, name="webhook-page"),
    path("settings/role-map/", role_maps_pages.listing, name="role-map"),
    path("settings/deliveries/", notice_pages.deliveries, name="delivery-list"),
    path("settings/deliveries/<uuid:delivery>/replay/", notice_pages.replay, name="delivery-again"),
    path("settings/keys/", workbench_pages.page, name="keys"),
    path("settings/theme/", home_page_pages.theme, name="theme"),
    path("people/", people_list.listing, name="people-list"),
    path("people/add/", people.add, name="person-add"),
    path("people/<slug:login>/", people.detail, name="person-page"),
    path("people/<slug:login>/edit/", people.edit, name="person-edit"),
    path("people/<slug:login>/role/", people.change_role, name="person-role"),
    path("people/<slug:login>/enable/", people.enable, name="person-start"),
    path("people/<slug:login>/erase/", people.erase, name="person-erase"),
    path("groups/", groups.listing, name="group-list"),
    path("groups/add/", groups.add, name="group-add"),
    path("groups/<slug:slug>/", groups.detail, name="group-page"),
    path("groups/<slug:slug>/join/", groups.join, name="group-join"),
    path("groups/<slug:slug>/leave/", groups.leave, name="group-leave"),
]
