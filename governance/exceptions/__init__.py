"""Exception register: exceptions from SoD policies, approval policies and failed remediations in one list."""
