"""The addresses of floor 3 under /api/v1."""

from __future__ import annotations

from typing import Final

from django.urls import URLPattern, path

from . import (
    adoption,
    answering,
    campaign_verbs,
    campaigns,
    changing,
    combining,
    coverage,
    delegations,
    emergencies,
    evidence,
    notices,
    ownership,
    policies,
    requests,
    rolemaps,
    sources,
    webhooks,
)
from .outlook import Outlook
from .simulating import CampaignPreview, Reduction

PREFIX: Final = "api/v1/"

_CAMPAIGN: Final = PREFIX + "campaigns/<slug:key>"
_ITEM: Final = PREFIX + "review-items/<uuid:key>"
_CUT: Final = PREFIX + "review-cuts/<uuid:key>"
_PROPOSAL: Final = PREFIX + "proposals/<uuid:key>"
_REQUEST: Final = PREFIX + "requests/<uuid:asked>"
_RULE: Final = PREFIX + "combination-rules/<uuid:key>"
_SOURCE: Final = PREFIX + "people-sources/<slug:key>"
_WEBHOOK: Final = PREFIX + "webhooks/<slug:key>"
_POLICY: Final = PREFIX + "policy-proposals/<uuid:key>"
_APPROVE: Final = PREFIX + "approval-rules/<uuid:key>"
_BY_RULE: Final = PREFIX + "rule-approvals/<uuid:key>"
_EXCEPTION: Final = PREFIX + "combination-exceptions/<uuid:key>"
_ADOPTION: Final = PREFIX + "adoptions/<uuid:key>"
_SEEN: Final = PREFIX + "seen-agents/<int:key>"

urlpatterns: list[URLPattern] = [
    path(PREFIX + "adoptions", adoption.Adoptions.as_view(), name="adoptions"),
    path(_ADOPTION, adoption.OneAdoption.as_view(), name="adoption"),
    path(_ADOPTION + "/agents", adoption.AdoptionAgents.as_view(), name="adoption-agents"),
    path(_ADOPTION + "/ask", adoption.AdoptionAsk.as_view(), name="adoption-ask"),
    path(_ADOPTION + "/answer", adoption.AdoptionAnswer.as_view(), name="adoption-answer"),
    path(_ADOPTION + "/confirm", adoption.AdoptionConfirm.as_view(), name="adoption-confirm"),
    path(PREFIX + "agents/<slug:key>/cut-over", adoption.CutOver.as_view(), name="agent-cut-over"),
    path(PREFIX + "agents/<slug:key>/adoption-undo", adoption.RollBack.as_view(), name="agent-adoption-undo"),
    path(PREFIX + "seen-agents", adoption.SeenAgents.as_view(), name="seen-agents"),
    path(_SEEN + "/match", adoption.SeenMatch.as_view(), name="seen-agent-match"),
    path(_SEEN + "/block", adoption.SeenBlock.as_view(), name="seen-agent-block"),
    path(_SEEN + "/unblock", adoption.SeenUnblock.as_view(), name="seen-agent-unblock"),
    path(PREFIX + "coverage", coverage.CoverageRows.as_view(), name="coverage"),
    path(PREFIX + "coverage/summary", coverage.Summary.as_view(), name="coverage-summary"),
    path(PREFIX + "systems/<slug:key>/paths", coverage.SystemPath.as_view(), name="system-paths"),
    path(PREFIX + "campaigns", campaigns.Campaigns.as_view(), name="campaigns"),
    path(PREFIX + "campaigns/preview", CampaignPreview.as_view(), name="campaign-preview"),
    path(_CAMPAIGN, campaigns.OneCampaign.as_view(), name="campaign"),
    path(_CAMPAIGN + "/activate", campaigns.Activate.as_view(), name="campaign-activate"),
    path(_CAMPAIGN + "/close", campaigns.Close.as_view(), name="campaign-close"),
    path(_CAMPAIGN + "/submissions", campaigns.Submissions.as_view(), name="campaign-submissions"),
    path(_CAMPAIGN + "/evidence", campaigns.Evidence.as_view(), name="campaign-evidence"),
    path(_CAMPAIGN + "/evidence.csv", campaigns.EvidenceTable.as_view(), name="campaign-evidence-table"),
    path(_CAMPAIGN + "/seal", evidence.Seal.as_view(), name="campaign-seal"),
    path(_CAMPAIGN + "/evidence.zip", evidence.PackFile.as_view(), name="campaign-pack"),
    path(PREFIX + "simulate/reduction", Reduction.as_view(), name="simulate-reduction"),
    path(PREFIX + "review-items", campaigns.Items.as_view(), name="review-items"),
    path(_ITEM, campaigns.OneItem.as_view(), name="review-item"),
    path(_ITEM + "/draft", campaigns.ItemDraft.as_view(), name="review-item-draft"),
    path(_ITEM + "/recall", campaign_verbs.Recall.as_view(), name="review-item-recall"),
    path(_ITEM + "/reopen", campaign_verbs.Reopen.as_view(), name="review-item-reopen"),
    path(_ITEM + "/restore", campaign_verbs.Restore.as_view(), name="review-item-restore"),
    path(_CAMPAIGN + "/release", campaign_verbs.Release.as_view(), name="campaign-release"),
    path(_CAMPAIGN + "/bulk-preview", campaign_verbs.BulkPreview.as_view(), name="campaign-bulk-preview"),
    path(_CAMPAIGN + "/bulk", campaign_verbs.Bulk.as_view(), name="campaign-bulk"),
    path(_CUT + "/retry", campaign_verbs.Retry.as_view(), name="review-cut-retry"),
    path(_CUT + "/except", campaign_verbs.Except.as_view(), name="review-cut-except"),
    path(_ITEM + "/reassign", campaigns.Reassign.as_view(), name="review-item-reassign"),
    path(PREFIX + "agents/<slug:key>/sponsor", ownership.Sponsor.as_view(), name="agent-sponsor"),
    path(PREFIX + "agents/<slug:key>/owner", ownership.Owner.as_view(), name="agent-owner"),
    path(PREFIX + "agents/<slug:key>/backup", ownership.Backup.as_view(), name="agent-backup"),
    path(PREFIX + "notices", notices.Notices.as_view(), name="notices"),
    path(PREFIX + "notices/read", notices.ReadAll.as_view(), name="notices-read"),
    path(PREFIX + "notices/<uuid:key>/read", notices.ReadOne.as_view(), name="notice-read"),
    path(PREFIX + "notice-settings", notices.Settings.as_view(), name="notice-settings"),
    path(PREFIX + "deliveries", notices.Deliveries.as_view(), name="deliveries"),
    path(PREFIX + "deliveries/<uuid:key>/replay", notices.Replay.as_view(), name="delivery-replay"),
    path(PREFIX + "people/<slug:key>/bounced", notices.Bounced.as_view(), name="person-bounced"),
    path(PREFIX + "agents/<slug:key>/keep", ownership.Keep.as_view(), name="agent-keep"),
    path(PREFIX + "people-sources", sources.Sources.as_view(), name="people-sources"),
    path(_SOURCE, sources.OneSource.as_view(), name="people-source"),
    path(_SOURCE + "/rotate", sources.RotateSource.as_view(), name="people-source-rotate"),
    path(_SOURCE + "/test", sources.TestSource.as_view(), name="people-source-test"),
    path(_SOURCE + "/disable", sources.EndSource.as_view(), name="people-source-disable"),
    path(_SOURCE + "/let-through", sources.LetThrough.as_view(), name="people-source-let-through"),
    path(_SOURCE + "/keep", sources.Refuse.as_view(), name="people-source-keep"),
    path(_SOURCE + "/file", sources.TakeFile.as_view(), name="people-source-file"),
    path(PREFIX + "role-mappings", rolemaps.Mappings.as_view(), name="role-mappings"),
    path(PREFIX + "role-mappings/<uuid:key>/confirm", rolemaps.ConfirmMapping.as_view(), name="role-mapping-confirm"),
    path(PREFIX + "role-mappings/<uuid:key>/end", rolemaps.EndMapping.as_view(), name="role-mapping-end"),
    path(PREFIX + "webhooks", webhooks.Webhooks.as_view(), name="webhooks"),
    path(_WEBHOOK, webhooks.OneWebhook.as_view(), name="webhook"),
    path(_WEBHOOK + "/rotate", webhooks.RotateWebhook.as_view(), name="webhook-rotate"),
    path(_WEBHOOK + "/test", webhooks.TestWebhook.as_view(), name="webhook-test"),
    path(_WEBHOOK + "/stop", webhooks.StopWebhook.as_view(), name="webhook-stop"),
    path(_WEBHOOK + "/start", webhooks.StartWebhook.as_view(), name="webhook-start"),
    path(PREFIX + "webhook-messages", webhooks.Messages.as_view(), name="webhook-messages"),
    path(
        PREFIX + "webhook-messages/<uuid:key>/replay", webhooks.ReplayMessage.as_view(), name="webhook-message-replay"
    ),
    path(PREFIX + "proposals", ownership.Proposals.as_view(), name="proposals"),
    path(_PROPOSAL, ownership.OneProposal.as_view(), name="proposal"),
    path(_PROPOSAL + "/accept", ownership.Accept.as_view(), name="proposal-accept"),
    path(_PROPOSAL + "/decline", ownership.Decline.as_view(), name="proposal-decline"),
    path(PREFIX + "delegations", delegations.Delegations.as_view(), name="delegations"),
    path(PREFIX + "delegations/<uuid:key>", delegations.OneDelegation.as_view(), name="delegation"),
    path(PREFIX + "delegations/<uuid:key>/end", delegations.EndDelegation.as_view(), name="delegation-end"),
    path(PREFIX + "agents/<slug:key>/combinations", combining.AgentCombinations.as_view(), name="agent-combinations"),
    path(PREFIX + "agent-calls", combining.Calls.as_view(), name="agent-calls"),
    path(PREFIX + "agent-calls/<uuid:key>", combining.OneCall.as_view(), name="agent-call"),
    path(PREFIX + "agent-calls/<uuid:key>/end", combining.EndCall.as_view(), name="agent-call-end"),
    path(PREFIX + "approval-policies", policies.Policies.as_view(), name="approval-policies"),
    path(PREFIX + "approval-policies/<int:key>", policies.OnePolicy.as_view(), name="approval-policy"),
    path(PREFIX + "policy-proposals", policies.PolicyProposals.as_view(), name="policy-proposals"),
    path(_POLICY, policies.OnePolicyProposal.as_view(), name="policy-proposal"),
    path(_POLICY + "/confirm", policies.ConfirmPolicy.as_view(), name="policy-proposal-confirm"),
    path(_POLICY + "/withdraw", policies.WithdrawPolicy.as_view(), name="policy-proposal-withdraw"),
    path(PREFIX + "approval-rules", policies.ApprovalRules.as_view(), name="approval-rules"),
    path(_APPROVE, policies.OneApprovalRule.as_view(), name="approval-rule"),
    path(_APPROVE + "/confirm", policies.ConfirmApprovalRule.as_view(), name="approval-rule-confirm"),
    path(_APPROVE + "/withdraw", policies.WithdrawApprovalRule.as_view(), name="approval-rule-withdraw"),
    path(_APPROVE + "/end", policies.EndApprovalRule.as_view(), name="approval-rule-end"),
    path(PREFIX + "rule-approvals", policies.RuleApprovals.as_view(), name="rule-approvals"),
    path(_BY_RULE, policies.OneRuleApproval.as_view(), name="rule-approval"),
    path(_BY_RULE + "/look", policies.LookAtRuleApproval.as_view(), name="rule-approval-look"),
    path(PREFIX + "combination-rules", combining.Rules.as_view(), name="combination-rules"),
    path(_RULE, combining.OneRule.as_view(), name="combination-rule"),
    path(_RULE + "/holders", combining.RuleHolders.as_view(), name="combination-rule-holders"),
    path(_RULE + "/publish", combining.PublishRule.as_view(), name="combination-rule-publish"),
    path(_RULE + "/withdraw", combining.WithdrawRule.as_view(), name="combination-rule-withdraw"),
    path(PREFIX + "combination-exceptions", combining.Exceptions.as_view(), name="combination-exceptions"),
    path(_EXCEPTION, combining.OneException.as_view(), name="combination-exception"),
    path(_EXCEPTION + "/end", combining.EndException.as_view(), name="combination-exception-end"),
    path(PREFIX + "emergency-grants", emergencies.Emergencies.as_view(), name="emergencies"),
    path(PREFIX + "emergency-grants/<uuid:key>", emergencies.OneEmergency.as_view(), name="emergency"),
    path(PREFIX + "emergency-grants/<uuid:key>/review", emergencies.ReviewEmergency.as_view(), name="emergency-review"),
    path(PREFIX + "requests", requests.Requests.as_view(), name="requests"),
    path(PREFIX + "requests/approve", answering.ApproveRequests.as_view(), name="requests-approve"),
    path(PREFIX + "requests/deny", answering.DenyRequests.as_view(), name="requests-deny"),
    path(PREFIX + "requests/<uuid:asked>", changing.One.as_view(), name="request"),
    path(PREFIX + "requests/<uuid:asked>/outlook", Outlook.as_view(), name="request-outlook"),
    path(PREFIX + "requests/<uuid:asked>/approve", requests.Approve.as_view(), name="request-approve"),
    path(PREFIX + "requests/<uuid:asked>/deny", requests.Deny.as_view(), name="request-deny"),
    path(PREFIX + "requests/<uuid:asked>/narrow", requests.Narrow.as_view(), name="request-narrow"),
    path(_REQUEST + "/questions", changing.Questions.as_view(), name="request-question"),
    path(_REQUEST + "/questions/<uuid:question>/answer", changing.Answer.as_view(), name="request-question-answer"),
    path(_REQUEST + "/reassign", changing.Reassign.as_view(), name="request-reassign"),
    path(_REQUEST + "/appeal", changing.Appeal.as_view(), name="request-appeal"),
    path(_REQUEST + "/give-back", changing.GiveBack.as_view(), name="request-give-back"),
    path(PREFIX + "requests/<uuid:asked>/again", requests.Again.as_view(), name="request-again"),
    path(PREFIX + "grants/<uuid:grant>/renew", requests.Renew.as_view(), name="grant-renew"),
    path(PREFIX + "requests/<uuid:asked>/cancel", requests.Cancel.as_view(), name="request-cancel"),
]
