"""How long sessions of agents last, and which sign-in they need: policies that two people agreed on."""
