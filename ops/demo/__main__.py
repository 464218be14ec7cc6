"""`python -m ops.demo`, started by the supervisor once the city is ready: lets the demo city live."""

from __future__ import annotations

import asyncio
import sys

from ops.demo.cities import CITIES
from ops.demo.happenings import Life
from ops.demo.living import live
from ops.place import Place
from ops.seed import run_of


def main() -> None:
    place = Place.from_environment()
    if place.city not in CITIES:
        sys.exit(f"the demo knows {', '.join(CITIES)}, not {place.city}")
    asyncio.run(live(place, run_of(place), Life(CITIES[place.city], place.demo_speed)))


if __name__ == "__main__":
    main()
