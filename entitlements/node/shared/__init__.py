"""What all nodes share of their conversations with upstreams."""
