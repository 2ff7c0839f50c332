"""Programs that measure what a check costs (``run.py``) and test it under load for minutes (``soak.py``)."""
