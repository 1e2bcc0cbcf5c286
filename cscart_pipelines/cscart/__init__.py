"""The CS-Cart REST API: session, retries, paging, parsing, writes. No tables, no settings."""
