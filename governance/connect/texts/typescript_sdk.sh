npm install @modelcontextprotocol/sdk && node connect.mjs
