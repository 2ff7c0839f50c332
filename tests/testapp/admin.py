"""A project's own admin: it picks keys by autocompletion, on both sites."""

from typing import TYPE_CHECKING

from django.contrib import admin

from allowlist.admin import APIKeyAdmin
from allowlist.models import APIKey
from tests.testapp.models import Project
from tests.testapp.sites import backoffice

if TYPE_CHECKING:
    ModelAdmin = admin.ModelAdmin[Project]
else:
    ModelAdmin = admin.ModelAdmin


class ProjectAdmin(ModelAdmin):
    """Projects, with their key."""

    autocomplete_fields = ("key",)


for site in (admin.site, backoffice):
    site.register(Project, ProjectAdmin)
backoffice.register(APIKey, APIKeyAdmin)
