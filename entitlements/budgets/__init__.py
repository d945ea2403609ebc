"""Rates and budgets of a grant, an agent or a system: calls, bytes, rows or money, of which a node leases a tenth."""
