"""Tenants and their domains."""

from django.db import models
from django_tenants.models import DomainMixin, TenantMixin


class Tenant(TenantMixin):  # type: ignore[misc]
    """A customer with a schema of its own."""

    name = models.CharField(max_length=100)


class Domain(DomainMixin):  # type: ignore[misc]
    """A host at which a tenant is served."""
