"""The example's routes: pages, the widget's two endpoints, the management API, the admin."""

from django.contrib import admin
from django.urls import include, path

from example_project.configurator import views

urlpatterns = [
    path("", views.front_page, name="front-page"),
    path("framed/", views.front_page, {"template": "configurator/framed.html"}),
    path("admin/", admin.site.urls),
    path("api/", include("allowlist.urls")),
    path("widget/frame/", views.frame, name="widget-frame"),
    path("", include("example_project.configurator.customer_urls")),
    path("api/widget/v1/config", views.ConfigView.as_view(), name="widget-config"),
    path("api/widget/v1/submit", views.SubmitView.as_view(), name="widget-submit"),
]
