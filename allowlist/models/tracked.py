"""Rows that save only what changed."""

from collections.abc import Collection, Iterable, Iterator, Mapping
from typing import Any, Self

from django.db import models, transaction


class TrackedModel(models.Model):
    """A row whose ``save`` writes only what this instance changed since it was loaded.

    An instance loaded long ago therefore never writes a stale value over someone else's change.
    """

    _loaded: Mapping[str, Any] = {}

    class Meta:
        abstract = True

    @classmethod
    def from_db(cls, *args: Any, **kwargs: Any) -> Self:
        """Build the instance and remember what was loaded."""
        instance = super().from_db(*args, **kwargs)
        instance._remember()
        return instance

    def refresh_from_db(
        self, using: str | None = None, fields: Iterable[str] | None = None, from_queryset: Any = None
    ) -> None:
        """Load the row again and remember what was loaded."""
        fields = None if fields is None else list(fields)
        super().refresh_from_db(using=using, fields=fields, from_queryset=from_queryset)
        self._remember(fields)

    def changed(self) -> list[str]:
        """Return the attribute names of the fields that differ from what was loaded."""
        missing = object()
        return [name for name, value in self._held() if value != self._loaded.get(name, missing)]

    def changed_among(self, update_fields: Iterable[str] | None) -> list[str]:
        """Return what ``changed`` does, limited to ``update_fields`` unless they are None.

        Raises ValueError for a name that isn't a field's.
        """
        if update_fields is None:
            return self.changed()
        wanted = set(update_fields)
        fields = [field for field in self._meta.concrete_fields if {field.name, field.attname} & wanted]
        if unknown := wanted - {name for field in fields for name in (field.name, field.attname)}:
            names = ", ".join(sorted(unknown))
            raise ValueError(f"save(update_fields=…): {type(self).__name__} has no field {names}.")
        attnames = {field.attname for field in fields}
        return [name for name in self.changed() if name in attnames]

    def _held(self) -> Iterator[tuple[str, Any]]:
        for field in self._meta.concrete_fields:
            if field.attname in self.__dict__:
                yield field.attname, self.__dict__[field.attname]

    def _remember(self, names: Collection[str] | None = None) -> None:
        held = self._held()
        if names is not None:
            attnames = {
                field.attname
                for field in self._meta.concrete_fields
                if field.name in names or field.attname in names
            }
            held = ((name, value) for name, value in held if name in attnames)
        self._loaded = {**self._loaded, **dict(held)}

    def _remember_once_committed(self, names: Collection[str], alias: str) -> None:
        """Remember what ``save`` wrote once it is committed: until then the next ``save`` writes it again.

        The value from before is forgotten too, since in this transaction the row has another one.
        """
        written = {name: self.__dict__[name] for name in names}
        self._loaded = {name: value for name, value in self._loaded.items() if name not in written}

        def remember() -> None:
            self._loaded = {**self._loaded, **written}

        transaction.on_commit(remember, using=alias)


def forget_prefetched(instance: models.Model, names: Iterable[str]) -> None:
    """Have related objects that were prefetched read again. Django clears them in its own managers alone."""
    prefetched: dict[str, Any] = getattr(instance, "_prefetched_objects_cache", {})
    for name in names:
        prefetched.pop(name, None)


def owner_of(rows: Any) -> Any:
    """Return the instance whose related manager gave the queryset ``rows``; None for any other queryset.

    Django keeps it as a hint for database routers. There is no public API for it.
    """
    return rows._hints.get("instance")
