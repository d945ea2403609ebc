"""Names of tools that another system has, or that look like one of another system; texts that name such a tool."""
