"""Refusals, recorded once by the door; strangers' failures, counted."""
