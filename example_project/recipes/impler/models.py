"""A project, with its API key and the people who work on it."""

from typing import TYPE_CHECKING, Any

from django.conf import settings
from django.db import models, transaction
from django.db.models import Q

from allowlist.models import APIKey


class ProjectQuerySet(models.QuerySet["Project"]):
    """Projects: how they are created, and who works on them."""

    def create_project(self, name: str, creator: Any) -> "Project":
        """Create a project with its key."""
        with transaction.atomic():
            key, _token = APIKey.objects.create_key(name=name, creator=creator)
            return self.create(name=name, key=key)

    def visible_to(self, user: Any) -> "ProjectQuerySet":
        """Return the projects that ``user`` created or was invited to."""
        return self.filter(Q(key__creator=user) | Q(members=user)).distinct()


class Project(models.Model):
    """What rows are imported into. The creator of its key created the project."""

    name = models.CharField(max_length=100)
    key = models.OneToOneField(APIKey, on_delete=models.CASCADE, related_name="impler_project")
    members = models.ManyToManyField(settings.AUTH_USER_MODEL, blank=True, related_name="impler_projects")

    if TYPE_CHECKING:
        objects: ProjectQuerySet
    else:
        objects = ProjectQuerySet.as_manager()

    class Meta:
        ordering = ("pk",)

    def __str__(self) -> str:
        """Return the name."""
        return self.name
