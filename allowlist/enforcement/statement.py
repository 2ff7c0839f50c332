"""The SQL that reads one key's row, as one JSON text.

A driver makes a value of every column of every row. On SQLite and with PyMySQL that takes as long as the rest
of the statement, and it is wasted while the row stays the same. A text is parsed only when it has changed.
The ORM itself would take five times as long for each request, most of it to build and compile the query.
"""

import json
from datetime import datetime
from functools import cache
from typing import Any

from django.conf import settings
from django.db import connections
from django.db.backends.base.base import BaseDatabaseWrapper
from django.utils import timezone

from ..models import APIKey

_FIELDS = APIKey._meta.concrete_fields
NAMES = tuple(field.attname for field in _FIELDS)
"""The columns, in the order of a row's values."""
_CREATOR = NAMES.index("creator_id")
"""Where the column is that is not in the text: the project's user model may store its keys in any way."""


class RedactedRow(list[Any]):
    """A row's values. Error reports print the variables of every function, and this prints no value."""

    def __repr__(self) -> str:
        """Return the class's name alone."""
        return "<RedactedRow>"


def read(connection: BaseDatabaseWrapper, column: str, value: Any) -> RedactedRow:
    """Return the row whose ``column`` is ``value``: its creator, and the rest as JSON. Empty if none is."""
    with connection.cursor() as cursor:
        cursor.execute(_sql(connection.alias, column), (value,))
        return RedactedRow(cursor.fetchone() or ())


def converted(connection: BaseDatabaseWrapper, row: RedactedRow) -> tuple[Any, ...]:
    """Return the values of a row that ``read`` returned, as the model's fields have them.

    Raises ValidationError or TypeError for what a field can't be: SQLite stores anything.
    """
    values = RedactedRow(json.loads(row[1]))
    values.insert(_CREATOR, row[0])
    return tuple(_value(connection, *each) for each in zip(_FIELDS, values, strict=True))


def _value(connection: BaseDatabaseWrapper, field: Any, stored: Any) -> Any:
    value = field.to_python(stored)
    if not isinstance(value, datetime) or timezone.is_aware(value) == settings.USE_TZ:
        return value
    # SQLite and MySQL store no offset. PostgreSQL shows its session's, which is the project's without USE_TZ.
    return timezone.make_aware(value, connection.timezone) if settings.USE_TZ else value.replace(tzinfo=None)


@cache
def _sql(alias: str, column: str) -> str:
    connection, meta = connections[alias], APIKey._meta
    columns = [connection.ops.quote_name(str(field.column)) for field in _FIELDS]
    where = f"FROM {connection.ops.quote_name(meta.db_table)} WHERE {columns[NAMES.index(column)]} = %s"
    creator, rest = columns.pop(_CREATOR), ", ".join(columns)
    # As text, since psycopg would parse JSON.
    row = f"json_build_array({rest})::text" if connection.vendor == "postgresql" else f"json_array({rest})"
    return f"SELECT {creator}, {row} {where}"
