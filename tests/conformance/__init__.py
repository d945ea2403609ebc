"""Foreign code against ours: official clients and servers, unmodified."""
