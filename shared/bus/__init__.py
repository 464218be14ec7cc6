"""Reading the events of other services: streams, consumers, dead letters."""

from shared.bus.access import acl_rules, epoch_name, stream_name

__all__ = ["acl_rules", "epoch_name", "stream_name"]
