"""Streams of security events: ours, which receivers take by push and by poll, and those of others that we poll."""
