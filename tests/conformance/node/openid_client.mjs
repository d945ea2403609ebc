// openid-client 6 at an authorization server:
// node openid_client.mjs code ISSUER CLIENT_ID KEY_FILE SCOPE    signs a person in and prints the tokens
// node openid_client.mjs refresh ISSUER CLIENT_ID KEY_FILE TOKEN prints the tokens, or the error
// node openid_client.mjs bound ISSUER CLIENT_ID - SCOPE RESOURCE MESSAGE
//   does both with proofs of a key (DPoP), then sends the message to the resource, and then again as a bearer token
// node openid_client.mjs exchange ISSUER CLIENT_ID - SCOPE RESOURCE MESSAGE SYSTEM_ISSUER
//   signs in at the identity side with a key, exchanges the refresh token for an ID-JAG, redeems it and does the same
// KEY_FILE holds a private JWK; `-` is a public client.
import { createHash } from "node:crypto";
import { once } from "node:events";
import { readFileSync } from "node:fs";
import { createServer } from "node:http";
import * as openid from "openid-client";

const [act, issuer, clientId, keyFile, given, resource, message, systemIssuer] = process.argv.slice(2);

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

async function code(DPoP) {
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
    ...(DPoP && { dpop_jkt: await DPoP.calculateThumbprint() }),
  });
  console.error(`Open ${address}`);
  const [request, response] = await once(listener, "request");
  response.setHeader("connection", "close").end("Signed in.");
  listener.close();
  const tokens = await openid.authorizationCodeGrant(server, new URL(request.url, redirect), {
    pkceCodeVerifier,
    expectedState,
    expectedNonce,
  }, undefined, { DPoP });
  return { ...tokens, claims: tokens.claims() };
}

const digest = (body) => createHash("sha256").update(body).digest("base64");
const grants = "urn:ietf:params:oauth:grant-type:";
const types = "urn:ietf:params:oauth:token-type:";

async function bound() {
  const keys = await openid.randomDPoPKeyPair();
  const DPoP = openid.getDPoPHandle(server, keys);
  const first = await code(DPoP);
  const second = await openid.refreshTokenGrant(server, first.refresh_token, undefined, { DPoP });
  return { ...second, ...(await call(second.access_token, keys)) };
}

async function exchange() {
  const keys = await openid.randomDPoPKeyPair();
  const DPoP = openid.getDPoPHandle(server, keys);
  const { refresh_token } = await code(DPoP);
  const asked = { subject_token: refresh_token, subject_token_type: `${types}refresh_token`, resource };
  const wanted = { requested_token_type: `${types}id-jag`, audience: systemIssuer };
  const jag = await openid.genericGrantRequest(server, `${grants}token-exchange`, { ...asked, ...wanted }, { DPoP });
  const system = await openid.discovery(new URL(systemIssuer), clientId, undefined, openid.None(), {
    algorithm: "oauth2",
    execute: [openid.allowInsecureRequests],
  });
  const assertion = { assertion: jag.access_token };
  const proven = { DPoP: openid.getDPoPHandle(system, keys) };
  const token = await openid.genericGrantRequest(system, `${grants}jwt-bearer`, assertion, proven);
  return { ...token, ...(await call(token.access_token, keys)) };
}

async function call(token, keys) {
  const { headers, body } = JSON.parse(message);
  const text = JSON.stringify(body);
  const DPoP = openid.getDPoPHandle(server, keys, {
    [openid.modifyAssertion]: (_, payload) => { payload.content_digest = `sha-256=:${digest(text)}:`; },
  });
  const sent = new Headers(headers);
  const answer = await openid.fetchProtectedResource(server, token, new URL(resource), "POST", text, sent, { DPoP });
  const stolen = await fetch(resource, {
    method: "POST",
    body: text,
    headers: { ...headers, authorization: `Bearer ${token}` },
  });
  return { answer: await answer.json(), stolen: { status: stolen.status, ...(await stolen.json()).error.data } };
}

try {
  const acts = { code, bound, exchange, refresh: () => openid.refreshTokenGrant(server, given) };
  console.log(JSON.stringify(await acts[act]()));
} catch (error) {
  if (!(error instanceof openid.ResponseBodyError)) throw error;
  console.log(JSON.stringify({ error: error.error, status: error.status, code: error.cause.code }));
}
