"""The methods of a key that change its two lists."""

from collections.abc import Callable, Iterable
from contextlib import AbstractContextManager
from typing import Any

from .edits import KeyEdit
from .lists import Added, EntryInput, ListKind
from .removed import RemovedList
from .tracked import TrackedModel


class KeyLists(TrackedModel):
    """What ``APIKey`` does with its lists. Each method is one change, all or nothing.

    Each raises ValidationError if the change breaks a rule, or if another writer is in the way.
    """

    editing: Callable[[], AbstractContextManager[KeyEdit]]

    class Meta:
        abstract = True

    def restrict_domains(self, entries: Iterable[EntryInput] | None = None) -> None:
        """Allow only listed domains: exactly ``entries``, or those listed already if None."""
        with self.editing() as edit:
            edit.domains.restrict(entries)

    def add_domains(self, entries: Iterable[EntryInput]) -> Added:
        """List more domains; return the new entries, the skipped ones, and whether the list is in force."""
        with self.editing() as edit:
            return edit.domains.add(entries)

    def remove_domains(self, entries: Iterable[EntryInput]) -> None:
        """Remove domains from the list."""
        with self.editing() as edit:
            edit.domains.remove(entries)

    def allow_all_domains(self) -> None:
        """Stop restricting by domain, and empty the list."""
        with self.editing() as edit:
            edit.domains.allow_all()

    def restrict_ips(self, entries: Iterable[EntryInput] | None = None) -> None:
        """Allow only listed IP addresses: exactly ``entries``, or those listed already if None."""
        with self.editing() as edit:
            edit.ips.restrict(entries)

    def add_ips(self, entries: Iterable[EntryInput]) -> Added:
        """List more IPs; return the new entries, the skipped ones, and whether the list is in force."""
        with self.editing() as edit:
            return edit.ips.add(entries)

    def remove_ips(self, entries: Iterable[EntryInput]) -> None:
        """Remove IP addresses from the list."""
        with self.editing() as edit:
            edit.ips.remove(entries)

    def allow_all_ips(self) -> None:
        """Stop restricting by IP address, and empty the list."""
        with self.editing() as edit:
            edit.ips.allow_all()

    def restore_domains(self) -> None:
        """Bring back the domains, and the mode, that the list had before one change emptied it.

        Also raises ValidationError if there is nothing to restore: it is forgotten when other domains
        are listed, and after ``BLOCKED_DAYS``.
        """
        with self.editing() as edit:
            edit.domains.restore()

    def restore_ips(self) -> None:
        """Bring back IP addresses as ``restore_domains`` does domains."""
        with self.editing() as edit:
            edit.ips.restore()

    def restorable(self, kind: ListKind) -> RemovedList | None:
        """Return what ``restore_domains`` or ``restore_ips`` would bring back; None if nothing."""
        return RemovedList.objects.using(self._state.db).of(self, kind).restorable().first()

    # A template that names one of them must not call it.
    _writes: Any
    for _writes in (
        *(restrict_domains, add_domains, remove_domains, allow_all_domains),
        *(restrict_ips, add_ips, remove_ips, allow_all_ips),
        *(restore_domains, restore_ips),
    ):
        _writes.alters_data = True
    del _writes
