"""The demo city: real codes and names, computed places, and facts that are made up and say so."""
