"""Starter packs: shipped SoD rulesets, approval policies and review templates, previewed and then proposed."""
