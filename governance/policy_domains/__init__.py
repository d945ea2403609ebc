"""The console's pages of policy domains: what foreign enforcement points are answered by (AuthZEN)."""
