"""Review subjects that are not grants: how each kind is found, cut, restored and verified."""
