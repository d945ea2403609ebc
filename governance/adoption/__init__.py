"""Adoption of access that exists elsewhere: read files of it, find whom they mean, have sponsors accept, move it here.

`reading` is pure. `matching` compares with what is known; `batches` holds the verbs on a file, `granting` makes grants
of what was accepted, `moving` the verbs on one workflow and on agents that were seen.
"""
