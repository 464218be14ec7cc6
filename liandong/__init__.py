"""The Python client of a Liandong hub."""
