#!/bin/bash
# Run once by PostgreSQL's image, when its volume is empty: Kaiwa's database and
# Temporal's two, each with an owner of its own who cannot reach the other's.
set -euo pipefail

psql --set ON_ERROR_STOP=1 --username postgres --dbname postgres \
	--set kaiwa="$KAIWA_DATABASE_PASSWORD" --set temporal="$TEMPORAL_DATABASE_PASSWORD" <<'SQL'
CREATE ROLE kaiwa LOGIN PASSWORD :'kaiwa';
CREATE ROLE temporal LOGIN PASSWORD :'temporal';
CREATE DATABASE kaiwa OWNER kaiwa;
CREATE DATABASE temporal OWNER temporal;
CREATE DATABASE temporal_visibility OWNER temporal;
REVOKE CONNECT ON DATABASE kaiwa, temporal, temporal_visibility FROM PUBLIC;
SQL
