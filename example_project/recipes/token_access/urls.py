"""The routes of the token-access recipe."""

from django.contrib import admin
from django.urls import include, path

from example_project.recipes.base import front_page

from .views import OrdersView

urlpatterns = [
    path("", front_page, name="front-page"),
    path("admin/", admin.site.urls),
    path("", include("example_project.configurator.customer_urls")),
    path("api/", include("allowlist.urls")),
    path("api/v1/orders", OrdersView.as_view(), name="orders"),
]
