"""What people read and type about keys, in the admin and on the pages. Nothing here is Django's admin's."""
