"""What the console shows of the connectors of a system, and the buttons that make and revoke one."""
