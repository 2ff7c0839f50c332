"""The routes of the creator's pages."""

from django.urls import path

from ..forms.blocked_steps import BLOCKED_STEPS
from ..forms.steps import STEPS, Delete
from .blocked import BlockedView
from .key_pages import KeyCreateView, KeyListView, KeyView, TokenView
from .steps import StepView
from .trial import CheckView

app_name = "allowlist_pages"

urlpatterns = [
    path("", KeyListView.as_view(), name="key-list"),
    path("create/", KeyCreateView.as_view(), name="key-create"),
    path("<int:pk>/", KeyView.as_view(), name="key"),
    path("<int:pk>/token/", TokenView.as_view(), name="key-token"),
    path("<int:pk>/blocked/", BlockedView.as_view(), name="key-blocked"),
    path("<int:pk>/check/", CheckView.as_view(), name="key-check"),
    *(
        path(f"<int:pk>/{step.slug}/", StepView.as_view(step=step), name=f"key-{step.slug}")
        for step in (*STEPS, *BLOCKED_STEPS, Delete())
    ),
]
