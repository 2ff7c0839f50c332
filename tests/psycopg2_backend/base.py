"""A backend whose settings psycopg2 understands. Only what connects by itself may use it."""

from typing import Any

import psycopg2
from django.db.backends.postgresql import base


class DatabaseWrapper(base.DatabaseWrapper):
    """A connection's settings for psycopg2."""

    Database: Any = psycopg2

    def get_connection_params(self) -> dict[str, Any]:
        """Return them without what Django adds for psycopg 3."""
        params = super().get_connection_params()
        return {
            name: params[name] for name in params.keys() - {"context", "cursor_factory", "prepare_threshold"}
        }
