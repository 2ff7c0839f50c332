"""The application that gunicorn serves."""

from django.core.wsgi import get_wsgi_application

from benchmarks.processes import pin

pin()
application = get_wsgi_application()
