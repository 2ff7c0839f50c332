"""What a project builds on keys: a row of its own, one to one with the key."""

from django.db import models

from allowlist.models import APIKey


class Project(models.Model):
    """A project whose key is an APIKey."""

    name = models.CharField(max_length=100)
    key = models.OneToOneField(APIKey, on_delete=models.CASCADE, related_name="project")

    def __str__(self) -> str:
        """Return the name."""
        return self.name


class Invoice(models.Model):  # noqa: DJ008 - nobody reads one
    """A row that keeps its keys from being deleted."""

    key = models.ForeignKey(APIKey, on_delete=models.PROTECT, null=True)
    former_key = models.ForeignKey(APIKey, on_delete=models.RESTRICT, null=True, related_name="+")
