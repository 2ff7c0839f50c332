"""The routes of the security-page recipe."""

from django.contrib import admin
from django.urls import include, path

from example_project.recipes.base import front_page

from .views import ResourcesView

urlpatterns = [
    path("", front_page, name="front-page"),
    path("admin/", admin.site.urls),
    path("", include("example_project.configurator.customer_urls")),
    path("api/", include("allowlist.urls")),
    path("v1/resources", ResourcesView.as_view(), name="resources"),
]
