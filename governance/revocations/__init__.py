"""Stopping what is under way: its effect, its receipt, its proof."""
