"""Where the private halves of our own keys lie, and what signs with them."""
