"""One gateway node: its feed, its snapshots, its upstreams."""
