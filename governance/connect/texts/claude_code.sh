claude mcp add --transport http --client-id {{client}} {{server}} {{url}}
