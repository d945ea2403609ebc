-- The exception register: exceptions from SoD policies, from approval policies (break-glass access), and from failed
-- remediations, with the failed remediations that have none: those have no owner and no end. It keeps nothing of its own, so nothing in it can differ from what is in force (decision 96).
CREATE OR REPLACE VIEW governance_exceptionregister AS
SELECT 'sod:' || e.id AS key, 'sod' AS kind, p.sentence::text AS what, p.name::text AS beneath,
       e.agent_id, NULL::bigint AS system_id, e.given_by_id AS owner_id, e.control::text AS control,
       e.reason::text AS reason, e.given_at AS since, e.expires_at, e.ended_at, ''::text AS verdict,
       p.id AS page_key, ''::text AS campaign, NULL::uuid AS grant_key, e.ticket::text AS ticket
  FROM governance_combinationexception e JOIN governance_combinationrule p ON p.id = e.rule_id
UNION ALL
SELECT 'policy:' || b.id, 'policy', n.name::text, n.scope::text,
       g.agent_id, n.system_id, b.given_by_id, ''::text,
       b.reason::text, b.given_at, b.ends_at, g.ended_at, b.verdict::text,
       b.id, ''::text, g.id, b.ticket::text
  FROM governance_emergencygrant b JOIN entitlements_grant g ON g.id = b.grant_id
  JOIN entitlements_entitlement n ON n.id = g.entitlement_id
UNION ALL
SELECT 'remediation:' || r.id, 'remediation', coalesce(nullif(i.label, ''), a.name)::text, c.name::text,
       i.agent_id, i.system_id, r.by_id, r.control::text,
       r.reason::text, r.made_at, r.expires_at, r.ended_at, ''::text,
       i.id, c.slug::text, NULL::uuid, ''::text
  FROM governance_removalexception r JOIN governance_reviewdecision d ON d.id = r.remediation_id
  JOIN governance_reviewitem i ON i.id = d.item_id JOIN governance_campaign c ON c.id = i.campaign_id
  LEFT JOIN entitlements_agent a ON a.id = i.agent_id
UNION ALL
SELECT 'failed:' || r.decision_id, 'remediation', coalesce(nullif(i.label, ''), a.name)::text, c.name::text,
       i.agent_id, i.system_id, NULL, ''::text,
       ''::text, r.applied_at, NULL, NULL, ''::text,
       i.id, c.slug::text, NULL::uuid, ''::text
  FROM governance_remediation r JOIN governance_reviewdecision d ON d.id = r.decision_id
  JOIN governance_reviewitem i ON i.id = d.item_id JOIN governance_campaign c ON c.id = i.campaign_id
  LEFT JOIN entitlements_agent a ON a.id = i.agent_id
 WHERE r.state = 'failed';
