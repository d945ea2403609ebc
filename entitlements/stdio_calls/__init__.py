"""Calls to a local server that this node has, which come from other nodes by one internal address."""
