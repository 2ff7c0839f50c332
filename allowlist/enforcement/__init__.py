"""One request, from what it presents to its response."""
