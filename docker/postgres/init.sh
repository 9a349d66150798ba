#!/bin/sh
# Run once by the Postgres image, on an empty volume: a role and a database of the same name for each server.
# Passwords are read from the environment by psql itself, so that no command line shows them.
set -eu
for name in prefect mlflow; do
    variable="$(echo "$name" | tr '[:lower:]' '[:upper:]')_DB_PASSWORD"
    psql --quiet --no-psqlrc --set ON_ERROR_STOP=1 --set name="$name" --username "$POSTGRES_USER" --dbname postgres <<SQL
\\getenv password $variable
CREATE ROLE :"name" LOGIN PASSWORD :'password';
CREATE DATABASE :"name" OWNER :"name";
REVOKE CONNECT ON DATABASE :"name" FROM PUBLIC;
SQL
done
# Prefect searches run names by trigrams.
psql --quiet --no-psqlrc --set ON_ERROR_STOP=1 --username "$POSTGRES_USER" --dbname prefect \
    --command "CREATE EXTENSION IF NOT EXISTS pg_trgm"
