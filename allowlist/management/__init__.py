"""The command line: ``manage.py allowlist``."""
