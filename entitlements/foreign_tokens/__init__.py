"""Tokens that other servers made and take: revoked there after a stop, then tried until they are dead or time is up."""
