"""The SQL that reads one key's row, compiled once for each database.

This is the only place that uses Django's SQL compiler, which is not public. The ORM builds and compiles
a query for every request in about 290 µs; the same SQL through a cursor takes about 55 µs.
"""

from collections.abc import Callable
from functools import cache
from typing import Any, NamedTuple

from django.db import connections
from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.models import Q

from ..models import APIKey

NAMES = tuple(field.attname for field in APIKey._meta.concrete_fields)
"""The columns, in the order of a row's values."""
_AT = {name: position for position, name in enumerate(NAMES)}
_ENDS = ("expires_at", "revoked_at")
"""The dates that end a key. SQLite's driver reads a string that isn't a date as None, MySQL's does so
with a date of zeros, and None would mean "never". So the database also says whether the date is NULL."""


class RedactedRow(list[Any]):
    """A row's values. Error reports print the variables of every function, and this prints no value."""

    def __repr__(self) -> str:
        """Return the class's name alone."""
        return "<RedactedRow>"


class _Statement(NamedTuple):
    sql: str
    converters: list[tuple[int, Any, list[Callable[..., Any]]]]


def read(connection: BaseDatabaseWrapper, column: str, value: Any) -> RedactedRow:
    """Return the row whose ``column`` is ``value``, as the driver returns it; empty if no row has it."""
    with connection.cursor() as cursor:
        cursor.execute(_compiled(connection.alias, column).sql, (value,))
        return RedactedRow(cursor.fetchone() or ())


def converted(connection: BaseDatabaseWrapper, column: str, row: RedactedRow) -> tuple[Any, ...]:
    """Return the values of a row that ``read`` returned, as the model's fields have them.

    Raises ValueError for a date that the driver couldn't read.
    """
    values = RedactedRow(row)
    for position, expression, functions in _compiled(connection.alias, column).converters:
        for function in functions:
            values[position] = function(values[position], expression, connection)
    for name, is_null in zip(_ENDS, values[len(NAMES) :], strict=True):
        if values[_AT[name]] is None and not is_null:
            raise ValueError(f"{name} isn't a date.")
    return tuple(values[: len(NAMES)])


@cache
def _compiled(alias: str, column: str) -> _Statement:
    """Return the SQL that reads a row by ``column``, and the converters of its values."""
    ends = {f"{name}_is_null": Q((name, None)) for name in _ENDS}
    # The value only has to be one that the column takes: the SQL has a placeholder for it.
    query = APIKey._base_manager.using(alias).filter(**{column: 0}).annotate(**ends).order_by().query
    compiler = query.get_compiler(using=alias)
    sql, _params = compiler.as_sql()
    # There is one table, and a string half as long is read faster by Django, the driver and the database.
    sql = sql.replace(f"{connections[alias].ops.quote_name(APIKey._meta.db_table)}.", "")
    converters = compiler.get_converters([column for column, _sql, _alias in compiler.select])
    return _Statement(
        sql, [(position, expression, functions) for position, (functions, expression) in converters.items()]
    )
