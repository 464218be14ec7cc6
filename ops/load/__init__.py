"""Loads publishers' files into a city's services: a file and a small mapping in, batches of rows out, and what became of each row."""
