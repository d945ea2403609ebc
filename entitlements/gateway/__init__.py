"""The enforcement point: authenticate, parse, decide, record, and only then forward what was parsed.

A lean ASGI application outside of Django's middleware. Nothing on the path of a call uses the ORM: rows are read by the
raw SQL that `facts` shares, over a pool of connections of the event loop.
"""
