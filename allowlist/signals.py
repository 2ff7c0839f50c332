"""Signals.

``request_refused`` is sent once for each refused request, and for each served under
``enforcement="report"``. Receivers get ``sender`` (the permission class), ``request`` (HttpRequest),
``key`` (APIKey, or None where no key was found), ``decision``, ``reason`` (the decision's) and
``source``. A receiver that raises is logged and changes nothing.
"""

from django.dispatch import Signal

request_refused = Signal()
