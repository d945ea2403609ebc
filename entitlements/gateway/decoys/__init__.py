"""Decoys at the gateway: a call of one, and a bearer token that is one."""
