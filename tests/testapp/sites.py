"""A second admin site, as some projects have."""

from django.contrib.admin import AdminSite

backoffice = AdminSite(name="backoffice")
