"""The creator's pages: what customers see in the service's own site."""
