"""Two tenants of one database, each with its own schema, as django-tenants has them."""
