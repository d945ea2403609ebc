"""The risk level of agents, people and sessions: signals, their history, what people decide, and what follows."""
