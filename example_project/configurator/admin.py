"""Leads, each shown to the creator of its key."""

from typing import TYPE_CHECKING

from django.contrib import admin
from django.db.models import QuerySet
from django.http import HttpRequest

from allowlist.models import APIKey

from .models import Lead

if TYPE_CHECKING:
    LeadModelAdmin = admin.ModelAdmin[Lead]
else:
    LeadModelAdmin = admin.ModelAdmin


@admin.register(Lead)
class LeadAdmin(LeadModelAdmin):
    """Leads, read-only."""

    list_display = ("name", "email", "price", "key", "created_at")
    search_fields = ("name", "email")

    def get_queryset(self, request: HttpRequest) -> QuerySet[Lead]:
        """Return the leads of the user's own keys."""
        return super().get_queryset(request).filter(key__in=APIKey.objects.manageable_by(request.user))

    def has_add_permission(self, request: HttpRequest) -> bool:
        """Return False: leads come from the widget."""
        return False

    def has_change_permission(self, request: HttpRequest, obj: Lead | None = None) -> bool:
        """Return False: nobody edits what a visitor wrote."""
        return False
