"""The routes of the impler recipe."""

from typing import Any

from django.contrib import admin
from django.urls import include, path

from example_project.recipes.base import front_page

from .views import AllowedDomainsViewSet, ImportsView, ProjectsView, WidgetView

DOMAINS: dict[str, Any] = {"get": "retrieve", "put": "save_domains", "patch": "save_domains"}

urlpatterns = [
    path("", front_page, name="front-page"),
    path("admin/", admin.site.urls),
    path("", include("example_project.configurator.customer_urls")),
    path("v1/widget", WidgetView.as_view(), name="widget"),
    path("v1/imports", ImportsView.as_view(), name="imports"),
    path("v1/projects", ProjectsView.as_view(), name="projects"),
    path(
        "v1/projects/<int:project_id>/allowed-domains",
        AllowedDomainsViewSet.as_view(DOMAINS),
        name="allowed-domains",
    ),
]
