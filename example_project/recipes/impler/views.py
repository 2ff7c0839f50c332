"""The widget and the API, which need the key; and the web app, where people manage a project."""

from typing import Any

from rest_framework import generics, serializers, status
from rest_framework.exceptions import NotFound
from rest_framework.permissions import IsAuthenticated
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from allowlist.api.views import CreatorOnlyViewSet
from allowlist.authentication import APIKeyAuthentication
from allowlist.models import APIKey

from .models import Project, ProjectQuerySet
from .permissions import IsAllowedDomain

COLUMNS = ["name", "email"]


class KeyView(APIView):
    """What widget and API have in common: they require a project's key, from a place its creator listed."""

    authentication_classes = (APIKeyAuthentication,)
    permission_classes = (IsAllowedDomain,)

    def get_project(self) -> Project:
        """Return the project whose key was sent."""
        return generics.get_object_or_404(Project, key=self.request.auth)


class WidgetView(KeyView):
    """What the widget requests when a page shows it."""

    def get(self, request: Request) -> Response:
        """Show what can be imported."""
        return Response({"project": self.get_project().name, "columns": COLUMNS})


class RowSerializer(serializers.Serializer[Any]):
    """A row of the spreadsheet."""

    name = serializers.CharField(max_length=100)
    email = serializers.EmailField()


class ImportsView(KeyView):
    """Receives rows from the widget and from the customer's own servers."""

    def post(self, request: Request) -> Response:
        """Check the rows. A real service would store them."""
        rows = RowSerializer(data=request.data, many=True)
        rows.is_valid(raise_exception=True)
        answer = {"project": self.get_project().name, "imported": len(rows.validated_data)}
        return Response(answer, status=status.HTTP_201_CREATED)


class ProjectSerializer(serializers.ModelSerializer[Project]):
    """A project with its key, which its pages show to everyone anyway, but without the key's list."""

    api_key = serializers.CharField(source="key.token", read_only=True)

    class Meta:
        model = Project
        fields = ("id", "name", "api_key")

    def create(self, validated_data: dict[str, Any]) -> Project:
        """Create the project for the request's user."""
        return Project.objects.create_project(**validated_data, creator=self.context["request"].user)


class ProjectsView(generics.ListCreateAPIView[Project]):
    """The projects that the user created or was invited to."""

    permission_classes = (IsAuthenticated,)
    serializer_class = ProjectSerializer

    def get_queryset(self) -> ProjectQuerySet:
        """Return the user's projects."""
        return Project.objects.visible_to(self.request.user).select_related("key")


class DomainsSerializer(serializers.Serializer[Any]):
    """The whole list, as strings. The models decide what it may contain."""

    allowed_domains = serializers.ListField(child=serializers.CharField())


class AllowedDomainsViewSet(CreatorOnlyViewSet):
    """The list of a project, for the user who created it."""

    serializer_class = DomainsSerializer
    not_found_message = "Project not found"
    key_kwarg = "project_id"

    def get_key(self) -> APIKey:
        """Return the key of the project of the URL; raise NotFound unless the user created it."""
        key = self.get_keys().filter(impler_project=self.kwargs["project_id"]).first()
        if key is None:
            raise NotFound(self.not_found_message)
        return key

    def retrieve(self, request: Request, project_id: int) -> Response:
        """Show the list."""
        domains = [entry.domain for entry in self.get_key().allowed_domains.all()]
        return Response({"allowed_domains": domains})

    def save_domains(self, request: Request, project_id: int) -> Response:
        """Replace the list with the one sent."""
        key = self.get_key()
        sent = self.get_serializer(data=request.data)
        sent.is_valid(raise_exception=True)
        key.restrict_domains(sent.validated_data["allowed_domains"])
        return self.retrieve(request, project_id)
