"""The road network: imported as a whole, replaced in one step, served to whoever searches it."""
