"""Tokens: issued, presented, revoked."""
