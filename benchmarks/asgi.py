"""The application that uvicorn serves."""

from django.core.asgi import get_asgi_application

from benchmarks.processes import pin

pin()
application = get_asgi_application()
