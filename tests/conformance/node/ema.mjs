// Calls a tool of an MCP server as a company manages it: an ID token is exchanged for an assertion, and that for a token.
// node ema.mjs SERVER IDP ISSUER CLIENT_ID CLIENT_SECRET ID_TOKEN TOOL ARGUMENTS
import {
  Client,
  CrossAppAccessProvider,
  StreamableHTTPClientTransport,
  discoverAndRequestJwtAuthGrant,
} from "@modelcontextprotocol/client";

const [server, idpUrl, expectedIssuer, clientId, clientSecret, idToken, tool, given] = process.argv.slice(2);

const authProvider = new CrossAppAccessProvider({
  assertion: async ({ authorizationServerUrl: audience, resourceUrl: resource, scope, fetchFn }) => {
    const asked = { idpUrl, audience, resource, scope, fetchFn, idToken, clientId, clientSecret };
    return (await discoverAndRequestJwtAuthGrant(asked)).jwtAuthGrant;
  },
  clientId,
  clientSecret,
  expectedIssuer,
});
const client = new Client({ name: "ema", version: "1.0.0" }, { versionNegotiation: { mode: "auto" } });
await client.connect(new StreamableHTTPClientTransport(new URL(server), { authProvider }));
const { tools } = await client.listTools();
const result = await client.callTool({ name: tool, arguments: JSON.parse(given) });
console.log(JSON.stringify({ tools: tools.map(({ name }) => name), result }));
await client.close();
