"""Vendors over REST."""
