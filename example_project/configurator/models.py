"""What the widget collects."""

from django.db import models

from allowlist.models import APIKey


class Lead(models.Model):
    """A visitor who designed a desk on a customer's page and wants an offer."""

    key = models.ForeignKey(APIKey, on_delete=models.SET_NULL, null=True, related_name="leads")
    name = models.CharField(max_length=100)
    email = models.EmailField()
    choices = models.JSONField()
    price = models.PositiveIntegerField()
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        ordering = ("-created_at",)

    def __str__(self) -> str:
        """Return who it is."""
        return f"{self.name} <{self.email}>"
