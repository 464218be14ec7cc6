"""Aggregates of the federation contract: a question, mergeable states of each source, one finished answer."""
