"""The engine of `liandong load`: files of any publisher, a mapping, batches that arrive exactly once. (Being written by the load helper; see /tmp/blueprint.md.)"""
