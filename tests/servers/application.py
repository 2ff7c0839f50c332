"""The applications that the servers serve."""

from django.core.asgi import get_asgi_application
from django.core.wsgi import get_wsgi_application

from allowlist.asgi import flushing

wsgi = get_wsgi_application()
asgi = flushing(get_asgi_application())
