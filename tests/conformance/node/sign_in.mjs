// Signs a person in to an MCP server, lists its tools, and calls one of them if it is named.
// node sign_in.mjs SERVER CLIENT_ID TOKENS_FILE [TOOL [ARGUMENTS]]
import { randomUUID } from "node:crypto";
import { once } from "node:events";
import { existsSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { createServer } from "node:http";
import { Client, DpopSession, StreamableHTTPClientTransport, UnauthorizedError } from "@modelcontextprotocol/client";

const [server, clientId, file, tool, given = "{}"] = process.argv.slice(2);

const listener = createServer().listen(0, "127.0.0.1");
await once(listener, "listening");

const session = process.env.DPOP && (await DpopSession.create({ alg: process.env.DPOP }));
const provider = {
  redirectUrl: `http://127.0.0.1:${listener.address().port}/callback`,
  get clientMetadata() {
    return { redirect_uris: [this.redirectUrl], token_endpoint_auth_method: "none" };
  },
  clientInformation: () => ({ client_id: clientId }),
  tokens: () => (existsSync(file) ? JSON.parse(readFileSync(file, "utf8")) : undefined),
  saveTokens: (tokens) => writeFileSync(file, JSON.stringify(tokens), { mode: 0o600 }),
  state() {
    return (this.sent = randomUUID());
  },
  saveCodeVerifier(verifier) {
    this.verifier = verifier;
  },
  codeVerifier() {
    return this.verifier;
  },
  redirectToAuthorization: (address) => console.error(`Open ${address}`),
  ...(process.env.DPOP && { dpop: () => session }),
  invalidateCredentials: (what) => ["all", "tokens"].includes(what) && rmSync(file, { force: true }),
};

async function returned() {
  const [request, response] = await once(listener, "request");
  response.end("Signed in. You can close this page.");
  const parameters = new URL(request.url, provider.redirectUrl).searchParams;
  if (parameters.get("state") !== provider.sent) throw new Error("This answer is to another question.");
  if (parameters.has("error")) throw new Error(parameters.get("error_description") ?? parameters.get("error"));
  return parameters;
}

async function connect() {
  const client = new Client({ name: "sign-in", version: "1.0.0" }, { versionNegotiation: { mode: "auto" } });
  const transport = new StreamableHTTPClientTransport(new URL(server), { authProvider: provider });
  try {
    await client.connect(transport);
    return client;
  } catch (error) {
    if (!(error instanceof UnauthorizedError)) throw error;
    const parameters = await returned();
    await transport.finishAuth(parameters.get("code"), parameters.get("iss"));
    return connect();
  }
}

const client = await connect();
const { tools } = await client.listTools();
const result = tool && (await client.callTool({ name: tool, arguments: JSON.parse(given) }));
console.log(JSON.stringify({ tools: tools.map(({ name }) => name), result }));
await client.close();
listener.close();
listener.closeAllConnections();
