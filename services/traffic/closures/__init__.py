"""Closures: roads and areas that are closed for a time, by people or by a release."""
