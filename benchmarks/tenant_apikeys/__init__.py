"""A site's app for the keys of django-tenant-apikeys, installed where that package is."""
