"""The routes of the test project: two admin sites, the management API, widgets."""

from django.contrib import admin
from django.urls import include, path

from tests.testapp import views
from tests.testapp.sites import backoffice

urlpatterns = [
    path("admin/", admin.site.urls),
    path("backoffice/", backoffice.urls),
    path("api/", include("allowlist.urls")),
    path("security/", include("allowlist.pages.urls")),
    path("projects/<int:pk>/", views.ProjectKeyViewSet.as_view({"get": "retrieve"})),
    path("widget/open/", views.OpenView.as_view()),
    path("widget/alone/", views.AloneView.as_view()),
    path("widget/paired/", views.PairedView.as_view()),
    path("widget/both/", views.BothView.as_view()),
    path("widget/either/", views.EitherView.as_view()),
    path("widget/in-path/<str:public_id>/", views.PathView.as_view()),
]
