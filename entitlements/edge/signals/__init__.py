"""Shared signals: security events that transmitters push to us."""
