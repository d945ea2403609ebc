"""Previewing, staging and beginning a campaign."""
