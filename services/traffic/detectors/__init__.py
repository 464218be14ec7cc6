"""Detectors: what they measure, and which speeds hold now."""
