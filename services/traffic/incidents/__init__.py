"""Incidents on roads, as they are reported or as a registry has them."""
