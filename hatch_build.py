"""What the build does to the README. PyPI has no ``docs`` folder, so it shows a picture's description."""

import re
from pathlib import Path
from typing import Any

from hatchling.metadata.plugin.interface import MetadataHookInterface


class Readme(MetadataHookInterface):
    """Sets the README that the package's metadata carry."""

    def update(self, metadata: dict[str, Any]) -> None:
        """Replace each picture of the documentation by its description."""
        text = Path(self.root, "README.md").read_text(encoding="utf-8")
        text = re.sub(r"!\[(.*?)\]\(docs/.*?\)", r"\1", text)
        metadata["readme"] = {"content-type": "text/markdown", "text": text}
