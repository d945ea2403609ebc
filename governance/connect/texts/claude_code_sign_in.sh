claude mcp login {{server}}
