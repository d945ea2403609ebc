"""Items that are no access: how each such thing is found, cut, put back and verified."""
