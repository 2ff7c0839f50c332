"""How Sphinx builds the documentation: ``python -m sphinx -W -n docs site``."""

import os
import tempfile
import zlib
from importlib.metadata import version as version_of
from pathlib import Path

HERE = Path(__file__).parent
_folder = tempfile.TemporaryDirectory()

project = "django-allowlist"
author = "The django-allowlist contributors"
copyright = author  # noqa: A001
release = version = version_of("django-allowlist")
language = "en"

extensions = ["myst_parser", "sphinx.ext.intersphinx", "sphinx_copybutton"]
exclude_patterns = ["_inventories"]
nitpicky = True

myst_enable_extensions = ["colon_fence", "deflist"]
myst_heading_anchors = 4

copybutton_prompt_text = r">>> |\.\.\. |\$ "
copybutton_prompt_is_regexp = True

html_theme = "furo"
html_title = "django-allowlist"
html_static_path = ["_static"]
html_css_files = ["pages.css"]
html_copy_source = False
html_show_sourcelink = False


def _offline_inventory() -> str:
    """Return the path of an inventory that holds only the parts of Django's that our pages link to."""
    lines = (HERE / "_inventories/django.txt").read_bytes()
    head = b"# Sphinx inventory version 2\n# Project: Django\n# Version: stable\n"
    head += b"# The remainder of this file is compressed using zlib.\n"
    target = Path(_folder.name, "django.inv")
    target.write_bytes(head + zlib.compress(lines))
    return str(target)


# A build needs no network. DOCS_ONLINE=1 checks the links against Django's own inventory.
intersphinx_mapping = {
    "django": (
        "https://docs.djangoproject.com/en/stable/",
        None if os.environ.get("DOCS_ONLINE") else _offline_inventory(),
    )
}
