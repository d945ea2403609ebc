#!/bin/sh
# Run once by the postgres image, on an empty volume: the four roles, each with the password of its own secret file.
set -eu

password() {
    cat "/run/secrets/$1"
}

psql --set ON_ERROR_STOP=1 --no-psqlrc --username "$POSTGRES_USER" --dbname postgres \
    --set owner="$(password postgres_owner)" --set app="$(password postgres_app)" --set seal="$(password postgres_seal)" \
    --set issue="$(password postgres_issue)" <<'SQL'
CREATE ROLE mandate_owner LOGIN PASSWORD :'owner';
CREATE ROLE mandate_app LOGIN PASSWORD :'app';
CREATE ROLE mandate_seal LOGIN PASSWORD :'seal';
CREATE ROLE mandate_issue LOGIN PASSWORD :'issue';
CREATE DATABASE mandate OWNER mandate_owner ENCODING 'UTF8' TEMPLATE template0;
REVOKE ALL ON DATABASE mandate FROM PUBLIC;
GRANT CONNECT ON DATABASE mandate TO mandate_app, mandate_seal, mandate_issue;
\connect mandate
REVOKE CREATE ON SCHEMA public FROM PUBLIC;
GRANT ALL ON SCHEMA public TO mandate_owner;
SQL
