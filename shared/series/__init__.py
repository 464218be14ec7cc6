"""Measured series: values by time, loaded in bulk, corrected with their history kept, rolled up by hour and day."""

from shared.datasets.aggregate.zones import whole_hours
from shared.series.crossings import Crossing
from shared.series.daily import observations_daily
from shared.series.directory import SeriesDirectory, hold_directory
from shared.series.loading import Loaded, load
from shared.series.properties import Limit, NeverAbove, Observed, Property, Quality, Timing, hour_needs
from shared.series.reading import columns
from shared.series.rolled import HOURLY
from shared.series.tables import metadata, observations, observations_hourly, series

__all__ = [
    "HOURLY",
    "Crossing",
    "Limit",
    "Loaded",
    "NeverAbove",
    "Observed",
    "Property",
    "Quality",
    "SeriesDirectory",
    "Timing",
    "columns",
    "hold_directory",
    "hour_needs",
    "load",
    "metadata",
    "observations",
    "observations_daily",
    "observations_hourly",
    "series",
    "whole_hours",
]
