"""The widget's two endpoints, with a rate limit that refused callers hit too."""

from allowlist.throttling import APIKeyRateThrottle
from example_project.configurator import views as configurator


class WidgetRateThrottle(APIKeyRateThrottle):
    """Lets each caller ask 60 times a minute with each key, whatever the answers."""

    rate = "60/min"


class ConfigView(configurator.ConfigView):
    """What the widget draws."""

    throttle_classes = (WidgetRateThrottle,)


class SubmitView(configurator.SubmitView):
    """Where the widget's form goes; leads are stored under the key that brought them."""

    throttle_classes = (WidgetRateThrottle,)
