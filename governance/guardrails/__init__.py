"""Guardrails: proposed by one person, replayed over recorded calls, confirmed by another, and what they observe."""
