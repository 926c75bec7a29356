#!/bin/sh
# Runs once, when the database is made: the owner of the tables, the unprivileged role of the application, the extensions.
set -eu
psql -v ON_ERROR_STOP=1 -U "$POSTGRES_USER" -d "$POSTGRES_DB" -v owner_password="$OWNER_DB_PASSWORD" -v app_password="$APP_DB_PASSWORD" <<'SQL'
CREATE ROLE app_owner LOGIN NOSUPERUSER NOBYPASSRLS NOINHERIT PASSWORD :'owner_password';
CREATE ROLE app_rw LOGIN NOSUPERUSER NOBYPASSRLS NOINHERIT PASSWORD :'app_password';
CREATE EXTENSION IF NOT EXISTS vector;
CREATE EXTENSION IF NOT EXISTS pg_trgm;
ALTER DATABASE nlpsuite OWNER TO app_owner;
ALTER SCHEMA public OWNER TO app_owner;
REVOKE CREATE ON SCHEMA public FROM PUBLIC;
SQL
