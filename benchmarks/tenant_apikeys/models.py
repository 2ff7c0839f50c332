"""The models that django-tenant-apikeys has each site write."""

from django.db import models
from django_tenant_apikeys.models import AbstractTenantAPIKey


class Organization(models.Model):
    """A tenant."""

    name = models.CharField(max_length=100)

    def __str__(self) -> str:
        return self.name


class APIKey(AbstractTenantAPIKey):  # type: ignore[misc]
    """A tenant's key."""

    tenant = models.ForeignKey(Organization, on_delete=models.CASCADE)
