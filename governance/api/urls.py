"""The addresses of floor 3 under /api/v1."""

from __future__ import annotations

from typing import Final

from django.urls import URLPattern, path

from governance.agent_discovery import api as discovery_api
from governance.approval_policies import api as approval_policy_api
from governance.approvals import api as approval_api
from governance.blast_radius.api import Outlook
from governance.break_glass import api as break_glass_api
from governance.budgets import api as budgets_api
from governance.chat import api as chat_api
from governance.coverage_map.api import coverage_map as coverage_map_api
from governance.coverage_map.api import reconciliation as reconciliation_api
from governance.credential_policy import api as credential_policy_api
from governance.decisions import api as decisions_api
from governance.decoys import api as decoys_api
from governance.exceptions import api as exceptions_api
from governance.grants import api as grant_api
from governance.guardrails import api as guardrails_api
from governance.notices import api as notice_api
from governance.onboarding import api as onboarding_api
from governance.out_of_office import api as out_of_office_api
from governance.ownership import api as ownership_api
from governance.people.api import role_maps as role_maps_api
from governance.people.api import sources
from governance.posture_report import api as posture_api
from governance.request_changes import api as request_change_api
from governance.requests.api import requests
from governance.reviews.campaigns.api import campaigns
from governance.reviews.campaigns.api import items as campaign_items
from governance.reviews.campaigns.api import lifecycle as lifecycle_api
from governance.reviews.decisions import api as decision_api
from governance.reviews.discussion.api import discussion as discussion_api
from governance.reviews.event_triggered import api as event_triggered_api
from governance.reviews.evidence.api import audit as audit_api
from governance.reviews.evidence.api import evidence
from governance.reviews.reports import api as report_api
from governance.reviews.spot_checks import api as spot_check_api
from governance.reviews.templates import api as template_api
from governance.reviews.usage.api import right_sizing as right_sizing_api
from governance.reviews.usage.api.simulation import CampaignPreview, Reduction
from governance.saved_views import api as saved_views_api
from governance.session_policies import api as session_policies_api
from governance.sod.api import policies as policies_api
from governance.tickets import api as ticket_api
from governance.token_health import api as token_health_api
from governance.webhooks import api as webhook_api

from . import several

PREFIX: Final = "api/v1/"

_CAMPAIGN: Final = PREFIX + "campaigns/<slug:key>"
_MICRO: Final = PREFIX + "event-triggered-reviews/<slug:key>"
_TEMPLATE: Final = PREFIX + "campaign-templates/<slug:key>"
_ITEM: Final = PREFIX + "review-items/<uuid:key>"
_SAMPLE: Final = PREFIX + "audit-samples/<uuid:key>"
_SPOT: Final = PREFIX + "spot-checks/<uuid:key>"
_CUT: Final = PREFIX + "remediations/<uuid:key>"
_PROPOSAL: Final = PREFIX + "ownership-proposals/<uuid:key>"
_REQUEST: Final = PREFIX + "requests/<uuid:asked>"
_RULE: Final = PREFIX + "sod-policies/<uuid:key>"
_SOURCE: Final = PREFIX + "people-sources/<slug:key>"
_DISCOVERY: Final = PREFIX + "discovery-sources/<slug:key>"
_CHAT: Final = PREFIX + "chat-connections/<slug:key>"
_WEBHOOK: Final = PREFIX + "webhooks/<slug:key>"
_AGES: Final = PREFIX + "credential-policy-proposals/<uuid:key>"
_POLICY: Final = PREFIX + "policy-proposals/<uuid:key>"
_APPROVE: Final = PREFIX + "auto-approval-rules/<uuid:key>"
_BY_RULE: Final = PREFIX + "auto-approvals/<uuid:key>"
_EXCEPTION: Final = PREFIX + "sod-exceptions/<uuid:key>"
_ADOPTION: Final = PREFIX + "onboarding-batches/<uuid:key>"
_SEEN: Final = PREFIX + "unmanaged-agents/<int:key>"

urlpatterns: list[URLPattern] = [
    path(PREFIX + "onboarding-batches", onboarding_api.OnboardingBatches.as_view(), name="adoptions"),
    path(_ADOPTION, onboarding_api.OnboardingBatchDetail.as_view(), name="adoption"),
    path(_ADOPTION + "/agents", onboarding_api.OnboardingAgents.as_view(), name="adoption-agents"),
    path(_ADOPTION + "/ask", onboarding_api.RequestSponsors.as_view(), name="adoption-ask"),
    path(_ADOPTION + "/answer", onboarding_api.AnswerOnboarding.as_view(), name="adoption-answer"),
    path(_ADOPTION + "/confirm", onboarding_api.ConfirmOnboarding.as_view(), name="adoption-confirm"),
    path(PREFIX + "agents/<slug:key>/cut-over", onboarding_api.CutOver.as_view(), name="agent-cut-over"),
    path(PREFIX + "agents/<slug:key>/onboarding-undo", onboarding_api.RollBack.as_view(), name="agent-adoption-undo"),
    path(
        PREFIX + "unmanaged-agents/compared",
        reconciliation_api.AgentsCompared.as_view(),
        name="unmanaged-agents-compared",
    ),
    path(PREFIX + "unmanaged-agents", onboarding_api.UnmanagedAgents.as_view(), name="unmanaged-agents"),
    path(_SEEN + "/match", onboarding_api.SeenMatch.as_view(), name="seen-agent-match"),
    path(_SEEN + "/block", onboarding_api.SeenBlock.as_view(), name="seen-agent-block"),
    path(_SEEN + "/unblock", onboarding_api.SeenUnblock.as_view(), name="seen-agent-unblock"),
    path(PREFIX + "coverage-map", coverage_map_api.CoverageRows.as_view(), name="coverage"),
    path(PREFIX + "coverage-map/summary", coverage_map_api.Summary.as_view(), name="coverage-summary"),
    path(PREFIX + "token-health", token_health_api.TokenHealth.as_view(), name="token-health"),
    path(PREFIX + "token-health/tokens", token_health_api.HealthOfTokens.as_view(), name="token-health-tokens"),
    path(PREFIX + "systems/<slug:key>/paths", coverage_map_api.SystemPath.as_view(), name="system-paths"),
    path(PREFIX + "posture-reports", posture_api.PostureReports.as_view(), name="posture-reports"),
    path(PREFIX + "posture-reports/<slug:key>", posture_api.PostureReport.as_view(), name="posture-report"),
    path(PREFIX + "campaigns", campaigns.Campaigns.as_view(), name="campaigns"),
    path(PREFIX + "campaigns/preview", CampaignPreview.as_view(), name="campaign-preview"),
    path(_CAMPAIGN, campaigns.CampaignDetail.as_view(), name="campaign"),
    path(_CAMPAIGN + "/activate", campaigns.Activate.as_view(), name="campaign-activate"),
    path(_CAMPAIGN + "/stage", lifecycle_api.Stage.as_view(), name="campaign-stage"),
    path(_CAMPAIGN + "/duplicate", template_api.Duplicate.as_view(), name="campaign-duplicate"),
    path(PREFIX + "campaign-templates", template_api.Templates.as_view(), name="campaign-templates"),
    path(_TEMPLATE, template_api.TemplateDetail.as_view(), name="campaign-template"),
    path(_TEMPLATE + "/start", template_api.StartTemplate.as_view(), name="campaign-template-start"),
    path(_TEMPLATE + "/stop", template_api.StopTemplate.as_view(), name="campaign-template-stop"),
    path(_CAMPAIGN + "/pause", lifecycle_api.Pause.as_view(), name="campaign-pause"),
    path(_CAMPAIGN + "/remind", lifecycle_api.Remind.as_view(), name="campaign-remind"),
    path(_CAMPAIGN + "/reassign", lifecycle_api.ReassignAll.as_view(), name="campaign-reassign"),
    path(_CAMPAIGN + "/resume", lifecycle_api.Resume.as_view(), name="campaign-resume"),
    path(_CAMPAIGN + "/cancel", lifecycle_api.Cancel.as_view(), name="campaign-cancel"),
    path(_CAMPAIGN + "/close", campaigns.Close.as_view(), name="campaign-close"),
    path(_CAMPAIGN + "/submissions", campaigns.Submissions.as_view(), name="campaign-submissions"),
    path(_CAMPAIGN + "/measures", report_api.Measured.as_view(), name="campaign-measures"),
    path(_CAMPAIGN + "/comparison", report_api.Comparison.as_view(), name="campaign-comparison"),
    path(_CAMPAIGN + "/due.ics", campaigns.DueDate.as_view(), name="campaign-calendar"),
    path(_CAMPAIGN + "/evidence", campaigns.Evidence.as_view(), name="campaign-evidence"),
    path(_CAMPAIGN + "/evidence.csv", campaigns.EvidenceTable.as_view(), name="campaign-evidence-table"),
    path(_CAMPAIGN + "/seal", evidence.Seal.as_view(), name="campaign-seal"),
    path(_CAMPAIGN + "/sealing", evidence.Sealing.as_view(), name="campaign-sealing"),
    path(_CAMPAIGN + "/evidence.zip", evidence.PackFile.as_view(), name="campaign-pack"),
    path(
        PREFIX + "event-triggered-reviews",
        event_triggered_api.EventTriggeredReviews.as_view(),
        name="event-triggered-reviews",
    ),
    path(_MICRO, event_triggered_api.EventTriggeredReviewDetail.as_view(), name="event-triggered-review"),
    path(_MICRO + "/answer", event_triggered_api.EventTriggeredAnswer.as_view(), name="event-triggered-review-answer"),
    path(
        _MICRO + "/postpone",
        event_triggered_api.EventTriggeredPostpone.as_view(),
        name="event-triggered-review-postpone",
    ),
    path(_CAMPAIGN + "/shares", audit_api.Shares.as_view(), name="campaign-shares"),
    path(PREFIX + "evidence-shares/<uuid:key>/end", audit_api.EndShare.as_view(), name="evidence-share-end"),
    path(_CAMPAIGN + "/samples", audit_api.Samples.as_view(), name="campaign-samples"),
    path(_SAMPLE, audit_api.SampleDetail.as_view(), name="audit-sample"),
    path(_SAMPLE + ".csv", audit_api.SampleTable.as_view(), name="audit-sample-table"),
    path(_SAMPLE + "/marks", audit_api.Marks.as_view(), name="audit-sample-marks"),
    path(_CAMPAIGN + "/questions", audit_api.Questions.as_view(), name="campaign-questions"),
    path(PREFIX + "audit-questions/<uuid:key>/answer", audit_api.Answer.as_view(), name="audit-question-answer"),
    path(PREFIX + "right-sizing", right_sizing_api.RightSizing.as_view(), name="right-sizing"),
    path(PREFIX + "grants/<uuid:key>/narrow", grant_api.Narrow.as_view(), name="grant-narrow"),
    path(PREFIX + "grants/<uuid:key>/use", right_sizing_api.GrantUse.as_view(), name="grant-use"),
    path(PREFIX + "grants/<uuid:key>/right-size", right_sizing_api.RightSize.as_view(), name="grant-right-size"),
    path(PREFIX + "simulate/reduction", Reduction.as_view(), name="simulate-reduction"),
    path(PREFIX + "decisions/why", decisions_api.WhyEndpoint.as_view(), name="decisions-why"),
    path(PREFIX + "decisions/who-can", decisions_api.WhoCan.as_view(), name="decisions-who-can"),
    path(PREFIX + "decisions/what-if", decisions_api.WhatIfCreate.as_view(), name="decisions-what-if"),
    path(
        PREFIX + "decisions/what-if/<uuid:key>", decisions_api.WhatIfDetail.as_view(), name="decisions-what-if-result"
    ),
    path(PREFIX + "review-items", campaign_items.Items.as_view(), name="review-items"),
    path(_ITEM, campaign_items.ItemDetail.as_view(), name="review-item"),
    path(_ITEM + "/claim", decision_api.Claim.as_view(), name="review-item-claim"),
    path(_ITEM + "/comment", discussion_api.Comment.as_view(), name="review-item-comment"),
    path(_ITEM + "/ask", discussion_api.Ask.as_view(), name="review-item-ask"),
    path(_CAMPAIGN + "/spot-checks", spot_check_api.CampaignSpotChecks.as_view(), name="campaign-spot-checks"),
    path(PREFIX + "spot-checks", spot_check_api.SpotChecks.as_view(), name="spot-checks"),
    path(_SPOT, spot_check_api.SpotCheckDetail.as_view(), name="spot-check"),
    path(_SPOT + "/answer", spot_check_api.AnswerSpotCheck.as_view(), name="spot-check-answer"),
    path(_SPOT + "/follow-up", spot_check_api.FollowUpSpotCheck.as_view(), name="spot-check-follow-up"),
    path(PREFIX + "review-questions", discussion_api.Questions.as_view(), name="review-questions"),
    path(PREFIX + "review-questions/<uuid:key>", discussion_api.QuestionDetail.as_view(), name="review-question"),
    path(PREFIX + "review-questions/<uuid:key>/answer", discussion_api.Answer.as_view(), name="review-question-answer"),
    path(_ITEM + "/draft", campaign_items.ItemDraft.as_view(), name="review-item-draft"),
    path(_ITEM + "/hand-on", decision_api.HandOn.as_view(), name="review-item-hand-on"),
    path(_ITEM + "/recall", decision_api.Recall.as_view(), name="review-item-recall"),
    path(_ITEM + "/reopen", decision_api.Reopen.as_view(), name="review-item-reopen"),
    path(_ITEM + "/restore", decision_api.Restore.as_view(), name="review-item-restore"),
    path(_CAMPAIGN + "/release", decision_api.Release.as_view(), name="campaign-release"),
    path(_CAMPAIGN + "/bulk-preview", decision_api.BulkPreview.as_view(), name="campaign-bulk-preview"),
    path(_CAMPAIGN + "/bulk", decision_api.Bulk.as_view(), name="campaign-bulk"),
    path(_CUT + "/retry", decision_api.Retry.as_view(), name="review-cut-retry"),
    path(_CUT + "/except", decision_api.Except.as_view(), name="review-cut-except"),
    path(_ITEM + "/reassign", campaign_items.Reassign.as_view(), name="review-item-reassign"),
    path(PREFIX + "agents/<slug:key>/sponsor", ownership_api.Sponsor.as_view(), name="agent-sponsor"),
    path(PREFIX + "agents/<slug:key>/owner", ownership_api.Owner.as_view(), name="agent-owner"),
    path(PREFIX + "agents/<slug:key>/backup", ownership_api.Backup.as_view(), name="agent-backup"),
    path(PREFIX + "notices", notice_api.Notices.as_view(), name="notices"),
    path(PREFIX + "notices/read", notice_api.ReadAll.as_view(), name="notices-read"),
    path(PREFIX + "notices/<uuid:key>/read", notice_api.ReadOne.as_view(), name="notice-read"),
    path(PREFIX + "notice-settings", notice_api.Settings.as_view(), name="notice-settings"),
    path(PREFIX + "deliveries", notice_api.Deliveries.as_view(), name="deliveries"),
    path(PREFIX + "deliveries/<uuid:key>/replay", notice_api.Replay.as_view(), name="delivery-replay"),
    path(PREFIX + "people/<slug:key>/bounced", notice_api.Bounced.as_view(), name="person-bounced"),
    path(PREFIX + "agents/<slug:key>/keep", ownership_api.Keep.as_view(), name="agent-keep"),
    path(PREFIX + "discovery-sources", discovery_api.DiscoverySources.as_view(), name="discovery-sources"),
    path(PREFIX + "discovery-sources/connect/okta", discovery_api.ConnectOkta.as_view(), name="discovery-source-okta"),
    path(
        PREFIX + "discovery-sources/connect/entra", discovery_api.ConnectEntra.as_view(), name="discovery-source-entra"
    ),
    path(
        PREFIX + "discovery-sources/connect/fleet", discovery_api.ConnectFleet.as_view(), name="discovery-source-fleet"
    ),
    path(_DISCOVERY, discovery_api.DiscoverySourceDetail.as_view(), name="discovery-source"),
    path(_DISCOVERY + "/runs", discovery_api.DiscoveryRuns.as_view(), name="discovery-source-runs"),
    path(_DISCOVERY + "/entries", discovery_api.DiscoveredEntries.as_view(), name="discovery-source-entries"),
    path(_DISCOVERY + "/credential", discovery_api.ReplaceCredential.as_view(), name="discovery-source-credential"),
    path(_DISCOVERY + "/change", discovery_api.ChangeSource.as_view(), name="discovery-source-change"),
    path(_DISCOVERY + "/disable", discovery_api.DisableSource.as_view(), name="discovery-source-disable"),
    path(_DISCOVERY + "/enable", discovery_api.EnableSource.as_view(), name="discovery-source-enable"),
    path(_DISCOVERY + "/run", discovery_api.RunSource.as_view(), name="discovery-source-run"),
    path(PREFIX + "people-sources", sources.Sources.as_view(), name="people-sources"),
    path(_SOURCE, sources.PeopleSourceDetail.as_view(), name="people-source"),
    path(_SOURCE + "/rotate", sources.RotateSource.as_view(), name="people-source-rotate"),
    path(_SOURCE + "/test", sources.TestSource.as_view(), name="people-source-test"),
    path(_SOURCE + "/disable", sources.EndSource.as_view(), name="people-source-disable"),
    path(_SOURCE + "/let-through", sources.LetThrough.as_view(), name="people-source-let-through"),
    path(_SOURCE + "/keep", sources.Refuse.as_view(), name="people-source-keep"),
    path(_SOURCE + "/file", sources.TakeFile.as_view(), name="people-source-file"),
    path(PREFIX + "group-mappings", role_maps_api.Mappings.as_view(), name="group-mappings"),
    path(
        PREFIX + "group-mappings/<uuid:key>/confirm",
        role_maps_api.ConfirmMapping.as_view(),
        name="group-mapping-confirm",
    ),
    path(PREFIX + "group-mappings/<uuid:key>/end", role_maps_api.EndMapping.as_view(), name="group-mapping-end"),
    path(PREFIX + "chat-connections", chat_api.ChatConnections.as_view(), name="chat-connections"),
    path(PREFIX + "chat-connections/slack/connect", chat_api.ConnectSlack.as_view(), name="chat-connection-slack"),
    path(PREFIX + "chat-connections/teams/connect", chat_api.ConnectTeams.as_view(), name="chat-connection-teams"),
    path(_CHAT, chat_api.ChatConnectionDetail.as_view(), name="chat-connection"),
    path(_CHAT + "/names", chat_api.ShowNames.as_view(), name="chat-connection-names"),
    path(_CHAT + "/test", chat_api.TestChatConnection.as_view(), name="chat-connection-test"),
    path(_CHAT + "/disconnect", chat_api.Disconnect.as_view(), name="chat-connection-disconnect"),
    path(PREFIX + "webhooks", webhook_api.Webhooks.as_view(), name="webhooks"),
    path(_WEBHOOK, webhook_api.WebhookDetail.as_view(), name="webhook"),
    path(_WEBHOOK + "/rotate", webhook_api.RotateWebhook.as_view(), name="webhook-rotate"),
    path(_WEBHOOK + "/test", webhook_api.TestWebhook.as_view(), name="webhook-test"),
    path(_WEBHOOK + "/stop", webhook_api.StopWebhook.as_view(), name="webhook-stop"),
    path(_WEBHOOK + "/start", webhook_api.StartWebhook.as_view(), name="webhook-start"),
    path(PREFIX + "webhook-messages", webhook_api.Messages.as_view(), name="webhook-messages"),
    path(
        PREFIX + "webhook-messages/<uuid:key>/replay",
        webhook_api.ReplayMessage.as_view(),
        name="webhook-message-replay",
    ),
    path(PREFIX + "ownership-proposals", ownership_api.Proposals.as_view(), name="proposals"),
    path(_PROPOSAL, ownership_api.OwnershipProposalDetail.as_view(), name="proposal"),
    path(_PROPOSAL + "/accept", ownership_api.Accept.as_view(), name="proposal-accept"),
    path(_PROPOSAL + "/decline", ownership_api.Decline.as_view(), name="proposal-decline"),
    path(PREFIX + "out-of-office-delegates", out_of_office_api.Delegations.as_view(), name="delegations"),
    path(
        PREFIX + "out-of-office-delegates/<uuid:key>",
        out_of_office_api.OutOfOfficeDelegateDetail.as_view(),
        name="delegation",
    ),
    path(
        PREFIX + "out-of-office-delegates/<uuid:key>/end",
        out_of_office_api.EndDelegation.as_view(),
        name="delegation-end",
    ),
    path(PREFIX + "saved-views", saved_views_api.SavedViews.as_view(), name="saved-views"),
    path(PREFIX + "saved-views/<uuid:key>/delete", saved_views_api.DeleteSavedView.as_view(), name="saved-view-delete"),
    path(
        PREFIX + "agents/<slug:key>/sod-violations",
        policies_api.AgentSodViolations.as_view(),
        name="agent-sod-violations",
    ),
    path(PREFIX + "agent-calls", policies_api.Calls.as_view(), name="agent-calls"),
    path(PREFIX + "agent-calls/<uuid:key>", policies_api.AgentCallDetail.as_view(), name="agent-call"),
    path(PREFIX + "agent-calls/<uuid:key>/end", policies_api.EndCall.as_view(), name="agent-call-end"),
    path(PREFIX + "approval-policies", approval_policy_api.Policies.as_view(), name="approval-policies"),
    path(PREFIX + "approval-policies/<int:key>", approval_policy_api.PolicyDetail.as_view(), name="approval-policy"),
    path(PREFIX + "policy-proposals", approval_policy_api.PolicyProposals.as_view(), name="policy-proposals"),
    path(_POLICY, approval_policy_api.PolicyProposalDetail.as_view(), name="policy-proposal"),
    path(_POLICY + "/confirm", approval_policy_api.ConfirmPolicy.as_view(), name="policy-proposal-confirm"),
    path(_POLICY + "/withdraw", approval_policy_api.WithdrawPolicy.as_view(), name="policy-proposal-withdraw"),
    *(path(PREFIX + at, view.as_view(), name=name) for at, view, name in session_policies_api.ADDRESSES),
    *(path(PREFIX + at, view.as_view(), name=name) for at, view, name in budgets_api.ADDRESSES),
    *(path(PREFIX + at, view.as_view(), name=name) for at, view, name in decoys_api.ADDRESSES),
    path(
        PREFIX + "credential-policies", credential_policy_api.CredentialPolicies.as_view(), name="credential-policies"
    ),
    path(
        PREFIX + "credential-policy-proposals",
        credential_policy_api.CredentialPolicyProposals.as_view(),
        name="credential-policy-proposals",
    ),
    path(_AGES, credential_policy_api.CredentialPolicyProposalDetail.as_view(), name="credential-policy-proposal"),
    path(
        _AGES + "/confirm",
        credential_policy_api.ConfirmCredentialPolicy.as_view(),
        name="credential-policy-proposal-confirm",
    ),
    path(
        _AGES + "/withdraw",
        credential_policy_api.WithdrawCredentialPolicy.as_view(),
        name="credential-policy-proposal-withdraw",
    ),
    *(path(PREFIX + address, view.as_view(), name=name) for address, view, name in guardrails_api.ADDRESSES),
    path(PREFIX + "ticket-policies", ticket_api.TicketPolicies.as_view(), name="ticket-policies"),
    path(PREFIX + "auto-approval-rules", approval_policy_api.AutoApprovalRules.as_view(), name="auto-approval-rules"),
    path(_APPROVE, approval_policy_api.AutoApprovalRuleDetail.as_view(), name="auto-approval-rule"),
    path(
        _APPROVE + "/confirm", approval_policy_api.ConfirmAutoApprovalRule.as_view(), name="auto-approval-rule-confirm"
    ),
    path(
        _APPROVE + "/withdraw",
        approval_policy_api.WithdrawAutoApprovalRule.as_view(),
        name="auto-approval-rule-withdraw",
    ),
    path(_APPROVE + "/end", approval_policy_api.EndAutoApprovalRule.as_view(), name="auto-approval-rule-end"),
    path(PREFIX + "auto-approvals", approval_policy_api.AutoApprovals.as_view(), name="auto-approvals"),
    path(_BY_RULE, approval_policy_api.AutoApprovalDetail.as_view(), name="auto-approval"),
    path(_BY_RULE + "/look", approval_policy_api.ReviewAutoApproval.as_view(), name="auto-approval-look"),
    path(PREFIX + "sod-policies", policies_api.Rules.as_view(), name="sod-policies"),
    path(_RULE, policies_api.SodPolicyDetail.as_view(), name="sod-policy"),
    path(_RULE + "/holders", policies_api.RuleHolders.as_view(), name="sod-policy-holders"),
    path(_RULE + "/publish", policies_api.PublishRule.as_view(), name="sod-policy-publish"),
    path(_RULE + "/withdraw", policies_api.WithdrawRule.as_view(), name="sod-policy-withdraw"),
    path(PREFIX + "sod-exceptions", policies_api.Exceptions.as_view(), name="sod-exceptions"),
    path(_EXCEPTION, policies_api.SodExceptionDetail.as_view(), name="sod-exception"),
    path(_EXCEPTION + "/end", policies_api.EndException.as_view(), name="sod-exception-end"),
    path(PREFIX + "exceptions", exceptions_api.ExceptionRegister.as_view(), name="exceptions"),
    path(PREFIX + "break-glass-grants", break_glass_api.BreakGlassGrants.as_view(), name="emergencies"),
    path(PREFIX + "break-glass-grants/<uuid:key>", break_glass_api.BreakGlassGrantDetail.as_view(), name="emergency"),
    path(
        PREFIX + "break-glass-grants/<uuid:key>/review",
        break_glass_api.ReviewBreakGlass.as_view(),
        name="emergency-review",
    ),
    path(PREFIX + "requests", requests.Requests.as_view(), name="requests"),
    path(PREFIX + "requests/approve", approval_api.ApproveRequests.as_view(), name="requests-approve"),
    path(PREFIX + "requests/submit", several.SubmitRequests.as_view(), name="requests-submit"),
    path(PREFIX + "requests/cancel", several.CancelRequests.as_view(), name="requests-cancel"),
    path(PREFIX + "grants/renew", several.RenewGrants.as_view(), name="grants-renew"),
    path(PREFIX + "bulk/agents/propose", several.ProposeOffices.as_view(), name="agents-propose"),
    path(PREFIX + "ownership-proposals/accept", several.AcceptOffices.as_view(), name="proposals-accept"),
    path(PREFIX + "requests/deny", approval_api.DenyRequests.as_view(), name="requests-deny"),
    path(PREFIX + "requests/<uuid:asked>", request_change_api.One.as_view(), name="request"),
    path(PREFIX + "requests/<uuid:asked>/preview", Outlook.as_view(), name="request-outlook"),
    path(PREFIX + "requests/<uuid:asked>/approve", requests.Approve.as_view(), name="request-approve"),
    path(PREFIX + "requests/<uuid:asked>/deny", requests.Deny.as_view(), name="request-deny"),
    path(PREFIX + "requests/<uuid:asked>/narrow", requests.Narrow.as_view(), name="request-narrow"),
    path(_REQUEST + "/questions", request_change_api.Questions.as_view(), name="request-question"),
    path(
        _REQUEST + "/questions/<uuid:question>/answer",
        request_change_api.Answer.as_view(),
        name="request-question-answer",
    ),
    path(_REQUEST + "/reassign", request_change_api.Reassign.as_view(), name="request-reassign"),
    path(_REQUEST + "/appeal", request_change_api.Appeal.as_view(), name="request-appeal"),
    path(_REQUEST + "/give-back", request_change_api.GiveBack.as_view(), name="request-give-back"),
    path(PREFIX + "requests/<uuid:asked>/again", requests.Again.as_view(), name="request-again"),
    path(PREFIX + "grants/<uuid:grant>/renew", requests.Renew.as_view(), name="grant-renew"),
    path(PREFIX + "requests/<uuid:asked>/cancel", requests.Cancel.as_view(), name="request-cancel"),
]
