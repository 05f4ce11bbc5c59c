#!/bin/sh
# Stands in for the entry point of PostgreSQL's image: what that does with the variables that the compose file sets.
set -eu
if [ "$(id -u)" = 0 ]; then
    chown -R postgres "$PGDATA"
    exec setpriv --reuid=postgres --regid=postgres --clear-groups "$0" "$@"
fi
if [ ! -s "$PGDATA/PG_VERSION" ]; then
    initdb --username="$POSTGRES_USER" --pwfile="$POSTGRES_PASSWORD_FILE" --auth-local=trust --auth-host=scram-sha-256 --no-sync
    echo 'host all all all scram-sha-256' >>"$PGDATA/pg_hba.conf"
    # Nobody outside meets the server that only makes the first database.
    pg_ctl --wait --silent --options='-c listen_addresses=' start
    createdb --username="$POSTGRES_USER" --maintenance-db=postgres "$POSTGRES_USER"
    pg_ctl --wait --silent --mode=fast stop
fi
exec "$@" -c listen_addresses='*'
