#!/bin/sh
# What the public postgres image does at its start, as far as docker-compose.yml needs it, for any user.
set -eu
if ! getent passwd "$(id -u)" >/dev/null; then
    # initdb looks its user up.
    printf 'postgres:x:%s:%s::/:/bin/false\n' "$(id -u)" "$(id -g)" >/tmp/passwd
    printf 'postgres:x:%s:\n' "$(id -g)" >/tmp/group
    export LD_PRELOAD=libnss_wrapper.so NSS_WRAPPER_PASSWD=/tmp/passwd NSS_WRAPPER_GROUP=/tmp/group
fi
export POSTGRES_USER="${POSTGRES_USER:-postgres}"
if [ ! -s "$PGDATA/PG_VERSION" ]; then
    mkdir -p "$PGDATA"
    chmod 700 "$PGDATA"
    # shellcheck disable=SC2086 - several arguments
    initdb --username="$POSTGRES_USER" --pwfile="$POSTGRES_PASSWORD_FILE" $POSTGRES_INITDB_ARGS
    echo "host all all all scram-sha-256" >>"$PGDATA/pg_hba.conf"
    pg_ctl -o "-c listen_addresses=''" -w start
    PGPASSWORD="$(cat "$POSTGRES_PASSWORD_FILE")"
    export PGPASSWORD
    for script in /docker-entrypoint-initdb.d/*.sh; do
        # shellcheck disable=SC1090 - mounted by the compose file
        . "$script"
    done
    unset PGPASSWORD
    pg_ctl -m fast -w stop
fi
exec "$@" -c listen_addresses='*'
