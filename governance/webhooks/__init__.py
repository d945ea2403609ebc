"""Webhooks: endpoints of other programs and the messages to them."""
