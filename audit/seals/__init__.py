"""The sealed log: leaves, checkpoints, proofs, and where checkpoints are published."""
