"""The console's page of the commands that local servers are started by."""
