"""Approval policies and auto-approval rules, proposed by one person and confirmed by another."""
