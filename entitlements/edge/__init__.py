"""The edge: the machine endpoints of our issuers, and the gateway, as one bare ASGI program with two roles.

No Django middleware, no ORM. Each endpoint has three parts: checks of a parsed form that read nothing, facts asked for
through `decisions/reads.py`, and one write; `outside.py` names all that reaches out of the process.
"""
