npx @modelcontextprotocol/inspector --cli {{url}} --transport http --client-id {{client}} --method tools/list
