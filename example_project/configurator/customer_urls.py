"""The routes of the pages that customers see: their login, and the creator's pages."""

from django.contrib.auth.views import LoginView, LogoutView
from django.urls import include, path

urlpatterns = [
    path("security/", include("allowlist.pages.urls")),
    path("accounts/login/", LoginView.as_view(template_name="configurator/login.html"), name="login"),
    path("accounts/logout/", LogoutView.as_view(next_page="/"), name="logout"),
]
