"""Agents that are seen somewhere before they are governed."""
