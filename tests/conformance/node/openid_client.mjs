// openid-client 6 at an authorization server:
// node openid_client.mjs code ISSUER CLIENT_ID KEY_FILE SCOPE    signs a person in and prints the tokens
// node openid_client.mjs refresh ISSUER CLIENT_ID KEY_FILE TOKEN prints the tokens, or the error
// KEY_FILE holds a private JWK; `-` is a public client.
import { once } from "node:events";
import { readFileSync } from "node:fs";
import { createServer } from "node:http";
import * as openid from "openid-client";

const [act, issuer, clientId, keyFile, given] = process.argv.slice(2);

async function authentication() {
  if (keyFile === "-") return openid.None();
  const jwk = JSON.parse(readFileSync(keyFile, "utf8"));
  const key = await crypto.subtle.importKey("jwk", jwk, { name: "ECDSA", namedCurve: "P-256" }, false, ["sign"]);
  return openid.PrivateKeyJwt({ key, kid: jwk.kid });
}

const signsPeopleIn = given.split(" ").includes("openid");
const server = await openid.discovery(new URL(issuer), clientId, undefined, await authentication(), {
  algorithm: signsPeopleIn ? "oidc" : "oauth2",
  execute: [openid.allowInsecureRequests, ...(signsPeopleIn ? [openid.enableNonRepudiationChecks] : [])],
});

async function code() {
  const listener = createServer().listen(0, "127.0.0.1");
  await once(listener, "listening");
  const redirect = `http://127.0.0.1:${listener.address().port}/callback`;
  const pkceCodeVerifier = openid.randomPKCECodeVerifier();
  const [expectedState, expectedNonce] = [openid.randomState(), signsPeopleIn ? openid.randomNonce() : undefined];
  const address = openid.buildAuthorizationUrl(server, {
    redirect_uri: redirect,
    ...(given && { scope: given }),
    code_challenge: await openid.calculatePKCECodeChallenge(pkceCodeVerifier),
    code_challenge_method: "S256",
    state: expectedState,
    ...(expectedNonce && { nonce: expectedNonce }),
  });
  console.error(`Open ${address}`);
  const [request, response] = await once(listener, "request");
  response.setHeader("connection", "close").end("Signed in.");
  listener.close();
  const tokens = await openid.authorizationCodeGrant(server, new URL(request.url, redirect), {
    pkceCodeVerifier,
    expectedState,
    expectedNonce,
  });
  return { ...tokens, claims: tokens.claims() };
}

try {
  console.log(JSON.stringify(await (act === "code" ? code() : openid.refreshTokenGrant(server, given))));
} catch (error) {
  if (!(error instanceof openid.ResponseBodyError)) throw error;
  console.log(JSON.stringify({ error: error.error, status: error.status, code: error.cause.code }));
}
