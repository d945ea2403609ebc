"""Ticket references: which are recognised and where they lead, and what asks for one."""
