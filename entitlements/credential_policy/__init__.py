"""How old a credential may become, by kind, and how long two of a client work side by side."""
