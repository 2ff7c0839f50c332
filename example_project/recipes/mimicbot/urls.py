"""The routes of the mimicbot recipe."""

from django.contrib import admin
from django.urls import include, path

from example_project.recipes.base import front_page

from .views import BotViewSet, PublicConfigView

BOTS = BotViewSet.as_view({"get": "list", "post": "create"})
BOT = BotViewSet.as_view({"get": "retrieve", "patch": "partial_update", "delete": "destroy"})

urlpatterns = [
    path("", front_page, name="front-page"),
    path("admin/", admin.site.urls),
    path("", include("example_project.configurator.customer_urls")),
    path("api/", include("allowlist.urls")),
    path("api/bots", BOTS, name="bots"),
    path("api/bots/<int:pk>", BOT, name="bot"),
    path("v1/public/bots/<str:public_id>/config", PublicConfigView.as_view(), name="bot-config"),
]
