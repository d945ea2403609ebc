"""Secrets of the vault in what systems answer: found by marks that hold no secret, and taken out."""
