"""Campaigns and their items over REST."""
