npm install @modelcontextprotocol/client && node connect.mjs
