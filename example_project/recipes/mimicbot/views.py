"""The owners' API, and the one endpoint that the widget fetches when it boots."""

from django.db.models import QuerySet
from django.shortcuts import get_object_or_404
from rest_framework.authentication import SessionAuthentication, TokenAuthentication
from rest_framework.permissions import IsAuthenticated
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView
from rest_framework.viewsets import ModelViewSet

from allowlist.authentication import APIKeyAuthentication
from allowlist.models import APIKey
from allowlist.permissions import IsAllowlisted

from .models import Bot
from .serializers import BotSerializer, PublicBotSerializer


class BearerAuthentication(TokenAuthentication):
    """A user's own token, as ``Authorization: Bearer ...``."""

    keyword = "Bearer"


class BotViewSet(ModelViewSet[Bot]):
    """The user's own bots; anyone else's bot isn't found."""

    authentication_classes = (BearerAuthentication, SessionAuthentication)
    permission_classes = (IsAuthenticated,)
    serializer_class = BotSerializer

    def get_queryset(self) -> QuerySet[Bot]:
        """Return the user's bots."""
        bots = Bot.objects.filter(key__in=APIKey.objects.manageable_by(self.request.user))
        return bots.select_related("key").prefetch_related("key__allowed_domains").order_by("pk")

    def perform_destroy(self, instance: Bot) -> None:
        """Delete the bot with its key."""
        instance.key.delete()


class PublicConfigView(APIView):
    """A bot's config, for the pages that its owner listed."""

    authentication_classes = (APIKeyAuthentication,)
    permission_classes = (IsAllowlisted,)
    allowlist_key_kwarg = "public_id"

    def get(self, request: Request, public_id: str) -> Response:
        """Show the bot of the key that was checked, instead of looking the token up a second time."""
        bot = get_object_or_404(Bot, key=request.auth)
        return Response(PublicBotSerializer(bot).data)
