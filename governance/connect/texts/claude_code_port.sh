claude mcp add --transport http --client-id {{client}} --callback-port {{port}} {{server}} {{url}}
