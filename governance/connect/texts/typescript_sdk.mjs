import { randomUUID } from "node:crypto";
import { once } from "node:events";
import { createServer } from "node:http";
import { Client, StreamableHTTPClientTransport, UnauthorizedError } from "@modelcontextprotocol/client";

const server = new URL({{url}});
const redirectUrl = "http://127.0.0.1:{{port}}/callback";
const asked = randomUUID();
let tokens, verifier, discovered; // kept while the program runs

const authProvider = {
  redirectUrl,
  clientMetadata: { redirect_uris: [redirectUrl], token_endpoint_auth_method: "none" },
  clientInformation: () => ({ client_id: {{client}} }),
  state: () => asked,
  tokens: () => tokens,
  saveTokens: (given) => { tokens = given; },
  codeVerifier: () => verifier,
  saveCodeVerifier: (made) => { verifier = made; },
  discoveryState: () => discovered,
  saveDiscoveryState: (found) => { discovered = found; },
  redirectToAuthorization: (address) => console.log("Sign in:", address.href),
};

async function answer(listener) {
  const [request, response] = await once(listener, "request");
  response.end("You are signed in. Close this window.");
  const brought = new URL(request.url, redirectUrl).searchParams;
  if (brought.get("state") !== asked) throw new Error("The browser brought an answer to another question.");
  if (brought.has("error")) throw new Error(brought.get("error_description") ?? brought.get("error"));
  return brought;
}

async function connect() {
  const client = new Client({ name: "connect", version: "1.0.0" }, { versionNegotiation: { mode: "auto" } });
  const transport = new StreamableHTTPClientTransport(server, { authProvider });
  const listener = createServer().listen({{port}}, "127.0.0.1");
  try {
    await client.connect(transport);
    return client;
  } catch (error) {
    if (!(error instanceof UnauthorizedError)) throw error;
    const brought = await answer(listener);
    await transport.finishAuth(brought.get("code"), brought.get("iss"));
  } finally {
    listener.close();
    listener.closeAllConnections();
  }
  return connect();
}

const client = await connect();
for (const tool of (await client.listTools()).tools) console.log(tool.name);
await client.close();
