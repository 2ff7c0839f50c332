"""PostgreSQL over psycopg2, beside psycopg 3, which Django takes where both are installed."""
