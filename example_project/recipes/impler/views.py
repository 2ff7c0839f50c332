"""What the key opens: the widget and the API. And what the people of a project do in the web app."""

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
    """What widget and API have in common: a project's key, from a place its creator listed."""

    authentication_classes = (APIKeyAuthentication,)
    permission_classes = (IsAllowedDomain,)

    def get_project(self) -> Project:
        """Return the project whose key was sent."""
        return generics.get_object_or_404(Project, key=self.request.auth)


class WidgetView(KeyView):
    """What the widget asks for when a page shows it."""

    def get(self, request: Request) -> Response:
        """Show what can be imported."""
        return Response({"project": self.get_project().name, "columns": COLUMNS})


class RowSerializer(serializers.Serializer[Any]):
    """A row of the spreadsheet."""

    name = serializers.CharField(max_length=100)
    email = serializers.EmailField()


class ImportsView(KeyView):
    """Where the widget and the customer's own servers send rows to."""

    def post(self, request: Request) -> Response:
        """Check the rows. A real service would keep them."""
        rows = RowSerializer(data=request.data, many=True)
        rows.is_valid(raise_exception=True)
        answer = {"project": self.get_project().name, "imported": len(rows.validated_data)}
        return Response(answer, status=status.HTTP_201_CREATED)


class ProjectSerializer(serializers.ModelSerializer[Project]):
    """A project with its key, which its pages show to everybody anyway; nothing of the key's list."""

    api_key = serializers.CharField(source="key.token", read_only=True)

    class Meta:
        model = Project
        fields = ("id", "name", "api_key")

    def create(self, validated_data: dict[str, Any]) -> Project:
        """Make the project for the user of the request."""
        return Project.objects.create_project(**validated_data, creator=self.context["request"].user)


class ProjectsView(generics.ListCreateAPIView[Project]):
    """The projects of the user, and those that the user was invited to."""

    permission_classes = (IsAuthenticated,)
    serializer_class = ProjectSerializer

    def get_queryset(self) -> ProjectQuerySet:
        """Return them."""
        return Project.objects.visible_to(self.request.user).select_related("key")


class DomainsSerializer(serializers.Serializer[Any]):
    """The whole list, as texts. What may be in it is decided by the models."""

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
        """Make the list exactly the one given."""
        key = self.get_key()
        sent = self.get_serializer(data=request.data)
        sent.is_valid(raise_exception=True)
        key.restrict_domains(sent.validated_data["allowed_domains"])
        return self.retrieve(request, project_id)
