"""Five products' allowlists, each as a settings dict and, if its responses differ, a small subclass.

``manage.py demo --recipe NAME`` serves one. A recipe is a package with these modules:

    settings.py      ALLOWLIST, the dict that its page in docs/how-to/recipes shows
    permissions.py   the permission subclass, if status or body differ
    views.py, urls.py   endpoints shaped like the product's own (models.py if it has models)
    demo.py          set_up() and embed(), see ``base``
    templates/       what its settings page says in words of its own
"""

from pathlib import Path

NAMES = ("impler", "innkept", "security-page", "token-access", "mimicbot")


def package(name: str) -> str:
    """Return the package of the recipe called ``name``."""
    return f"{__name__}.{name.replace('-', '_')}"


def template_folders(name: str) -> list[Path]:
    """Return the folders whose templates override those of apps: the recipe's, if any, and the example's."""
    example = Path(__file__).parent.parent
    own = [example / "recipes" / name.replace("-", "_") / "templates"] if name else []
    return [*own, example / "templates"]
