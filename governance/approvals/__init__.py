"""Approvals: who must approve a request, and who did."""
