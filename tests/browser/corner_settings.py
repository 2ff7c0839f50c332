"""The example's settings, with the routes of ``corner_site``."""

from example_project.settings import *  # noqa: F403

ROOT_URLCONF = "tests.browser.corner_site"
