"""The example's settings on a site whose Content-Security-Policy allows no inline code and no other host."""

from example_project.settings import *  # noqa: F403
from example_project.settings import MIDDLEWARE as _MIDDLEWARE

MIDDLEWARE = ["tests.browser.strict_policy.strict_policy", *_MIDDLEWARE]
