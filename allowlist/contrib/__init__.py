"""One module for each package that may be absent."""
