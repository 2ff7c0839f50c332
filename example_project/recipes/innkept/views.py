"""The widget's two endpoints, with a rate limit that counts refused requests too."""

from allowlist.throttling import APIKeyRateThrottle
from example_project.configurator import views as configurator


class WidgetRateThrottle(APIKeyRateThrottle):
    """Lets each caller send 60 requests a minute with each key, refused requests included."""

    rate = "60/min"


class ConfigView(configurator.ConfigView):
    """The product that the widget shows."""

    throttle_classes = (WidgetRateThrottle,)


class SubmitView(configurator.SubmitView):
    """Receives the widget's form; leads are stored with their key."""

    throttle_classes = (WidgetRateThrottle,)
