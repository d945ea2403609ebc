"""An agent acts for another, at the token endpoints: its actor token, the chain that grows by it, and its end."""
