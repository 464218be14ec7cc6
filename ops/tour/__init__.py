"""The tour: ninety seconds on a running city, each word of it measured."""
