"""The widget's two endpoints, and the pages that stand for its customers' sites."""

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from rest_framework import status
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from allowlist.authentication import APIKeyAuthentication
from allowlist.decorators import embeddable
from allowlist.permissions import IsAllowlisted

from . import demo
from .product import CONFIG
from .serializers import ConfigSerializer, LeadSerializer


class WidgetView(APIView):
    """What both endpoints have in common: they require a key, from a place its creator listed."""

    authentication_classes = (APIKeyAuthentication,)
    permission_classes = (IsAllowlisted,)


class ConfigView(WidgetView):
    """The product that the widget shows."""

    serializer_class = ConfigSerializer

    def get(self, request: Request) -> Response:
        """Show the product's options."""
        return Response(CONFIG)


class SubmitView(WidgetView):
    """Receives the widget's form."""

    serializer_class = LeadSerializer

    def post(self, request: Request) -> Response:
        """Store a lead with the key that the form was sent with."""
        serializer = LeadSerializer(data=request.data)
        serializer.is_valid(raise_exception=True)
        serializer.save(key=request.auth)
        return Response(serializer.data, status=status.HTTP_201_CREATED)


@embeddable
def frame(request: HttpRequest) -> HttpResponse:
    """Show the widget in an iframe, on pages that the key lists."""
    return render(request, "configurator/frame.html", {"access": request.allowlist})  # type: ignore[attr-defined]


def front_page(request: HttpRequest, template: str = "configurator/shop.html") -> HttpResponse:
    """Show the pretend site of the requested host; on other hosts, links to the sites."""
    host, _colon, port = request.get_host().partition(":")
    addresses = demo.Addresses(int(port or 80))
    site = demo.SITES.get(host)
    if site is None:
        sites = [{"address": addresses.of(each.host), "listed": each.listed} for each in demo.SITES.values()]
        return render(request, "configurator/start.html", {"sites": sites})
    context = {"site": site, "key": demo.find_page_key(), "addresses": addresses}
    return render(request, template, context)
