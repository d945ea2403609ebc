"""The policy decision point: facts, policy, verdicts, limits, scopes."""
