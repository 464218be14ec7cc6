"""One question to six databases: through the hub, beside DuckDB's ATTACH, postgres_fdw and a bare concurrent client."""
