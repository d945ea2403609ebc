"""Notices: inboxes, mail, digests."""
