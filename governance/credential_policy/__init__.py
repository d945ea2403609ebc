"""How old credentials may become: one person proposes it, another confirms it; and the warnings before their end."""
