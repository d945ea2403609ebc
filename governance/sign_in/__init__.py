"""Signing in to the console: local accounts, devices, sessions, step-up."""
