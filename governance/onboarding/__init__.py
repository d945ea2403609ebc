"""Onboarding of running agents: files of existing access read, matched, accepted, moved."""
