"""What a request could begin with: the narrowest choice, from precedents."""
