(umask 077 && openssl genpkey -algorithm ed25519 -out agent.pem)
printf '{"keys": [{"kty": "OKP", "crv": "Ed25519", "x": "%s"}]}\n' \
  "$(openssl pkey -in agent.pem -pubout -outform DER | tail -c 32 | openssl base64 -A | tr '+/' '-_' | tr -d '=')"
