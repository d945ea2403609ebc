"""Who may decide, and who must not: pure rules, shared by requests and reviews."""
