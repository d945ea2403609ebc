import { createServer } from "node:http";
import { UnauthorizedError } from "@modelcontextprotocol/sdk/client/auth.js";
import { Client } from "@modelcontextprotocol/sdk/client/index.js";
import { StreamableHTTPClientTransport } from "@modelcontextprotocol/sdk/client/streamableHttp.js";

const server = new URL({{url}});
const redirect = "http://127.0.0.1:{{port}}/callback";
let tokens, verifier; // kept while the program runs

const authProvider = {
  redirectUrl: redirect,
  clientMetadata: { redirect_uris: [redirect], token_endpoint_auth_method: "none" },
  clientInformation: () => ({ client_id: {{client}} }),
  tokens: () => tokens,
  saveTokens: (given) => { tokens = given; },
  codeVerifier: () => verifier,
  saveCodeVerifier: (made) => { verifier = made; },
  redirectToAuthorization: (address) => console.log("Sign in:", address.href),
};

const answer = new Promise((resolve) => {
  const listener = createServer((request, response) => {
    response.end("You are signed in. Close this window.");
    listener.close();
    resolve(new URL(request.url, redirect).searchParams.get("code"));
  }).listen({{port}}, "127.0.0.1");
});

async function connect() {
  const transport = new StreamableHTTPClientTransport(server, { authProvider });
  const client = new Client({ name: "connect", version: "1.0.0" });
  try {
    await client.connect(transport);
    return client;
  } catch (error) {
    if (!(error instanceof UnauthorizedError)) throw error;
    await transport.finishAuth(await answer);
    return connect();
  }
}

const client = await connect();
for (const tool of (await client.listTools()).tools) console.log(tool.name);
await client.close();
process.exit();
