"""Routing: travel times, routes and isochrones on the roads as they are now."""
