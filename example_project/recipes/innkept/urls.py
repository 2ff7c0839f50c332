"""The routes of the innkept recipe."""

from django.contrib import admin
from django.urls import include, path

from example_project.recipes.base import front_page

from .views import ConfigView, SubmitView

urlpatterns = [
    path("", front_page, name="front-page"),
    path("admin/", admin.site.urls),
    path("", include("example_project.configurator.customer_urls")),
    path("api/", include("allowlist.urls")),
    path("api/widget/v1/config", ConfigView.as_view(), name="widget-config"),
    path("api/widget/v1/submit", SubmitView.as_view(), name="widget-submit"),
]
