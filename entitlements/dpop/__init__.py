"""Proof of possession (RFC 9449): a token that is bound to a key opens nothing without a fresh proof of that key."""
