// Runs a script for version 2 of the TypeScript SDK on version 1, which has the same names in several files:
// node --import=./sdk_v1.mjs SCRIPT
import { registerHooks } from "node:module";

export { UnauthorizedError } from "@modelcontextprotocol/sdk/client/auth.js";
export { Client } from "@modelcontextprotocol/sdk/client/index.js";
export const DpopSession = undefined; // version 1 makes no proofs
export { StreamableHTTPClientTransport } from "@modelcontextprotocol/sdk/client/streamableHttp.js";

const resolve = (name, context, next) =>
  next(name === "@modelcontextprotocol/client" ? import.meta.url : name, context);
registerHooks({ resolve });
