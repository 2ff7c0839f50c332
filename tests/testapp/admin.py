"""A project's own admins: they pick keys by autocompletion, on the other site by id."""

from typing import TYPE_CHECKING

from django.contrib import admin

from allowlist.admin import APIKeyAdmin, OwnKeysMixin
from allowlist.models import APIKey
from tests.testapp.models import Project
from tests.testapp.sites import backoffice

if TYPE_CHECKING:
    ModelAdmin = admin.ModelAdmin[Project]
else:
    ModelAdmin = admin.ModelAdmin


class ProjectAdmin(OwnKeysMixin, ModelAdmin):
    """Projects, with their key."""

    autocomplete_fields = ("key",)


class RawIdProjectAdmin(OwnKeysMixin, ModelAdmin):
    """Projects, with their key's id."""

    raw_id_fields = ("key",)


admin.site.register(Project, ProjectAdmin)
backoffice.register(Project, RawIdProjectAdmin)
backoffice.register(APIKey, APIKeyAdmin)
