"""Programs that measure what a check costs (``run.py``) and ask it for minutes (``soak.py``)."""
