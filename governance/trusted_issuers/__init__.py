"""Issuers whose signed assertions are accepted: who proposed and confirmed them, and how their keys are."""
