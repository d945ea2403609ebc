#!/bin/bash
# Lists the tools of one system. The token stays in this program: no file, no argument and no output holds it.
set -euo pipefail
url={{url}} issuer={{issuer}} client={{client}} scope={{scope}}

base64url() { openssl base64 -A | tr '+/' '-_' | tr -d '='; }

now=$(date +%s)
head=$(printf '{"alg":"EdDSA","typ":"JWT"}' | base64url)
body=$(printf '{"iss":"%s","sub":"%s","aud":"%s","iat":%d,"exp":%d,"jti":"%s"}' \
  "$client" "$client" "$issuer" "$now" $((now + 60)) "$(openssl rand -hex 16)" | base64url)
signed=$(mktemp)
trap 'rm -f "$signed"' EXIT
printf '%s.%s' "$head" "$body" >"$signed"
assertion=$head.$body.$(openssl pkeyutl -sign -rawin -inkey agent.pem -in "$signed" | base64url)

endpoint=$(curl -fsS "${issuer/\/as\//\/.well-known\/oauth-authorization-server\/as\/}" |
  sed -n 's/.*"token_endpoint": *"\([^"]*\)".*/\1/p')
token=$(curl -fsS "$endpoint" -d grant_type=client_credentials --data-urlencode "resource=$url" \
  --data-urlencode "scope=$scope" -d client_assertion_type=urn:ietf:params:oauth:client-assertion-type:jwt-bearer \
  --data-urlencode client_assertion@<(printf %s "$assertion") |
  sed -n 's/.*"access_token": *"\([^"]*\)".*/\1/p')

curl -fsS "$url" -H @<(printf 'Authorization: Bearer %s' "$token") \
  -H 'Content-Type: application/json' -H 'Accept: application/json, text/event-stream' \
  -H 'MCP-Protocol-Version: 2026-07-28' -H 'Mcp-Method: tools/list' \
  -d '{"jsonrpc":"2.0","id":1,"method":"tools/list","params":{"_meta":{"io.modelcontextprotocol/protocolVersion":"2026-07-28","io.modelcontextprotocol/clientCapabilities":{}}}}'
