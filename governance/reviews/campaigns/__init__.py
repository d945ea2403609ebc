"""Campaigns: made, launched, paused, closed."""
