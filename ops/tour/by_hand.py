"""The commands that do each step of the tour by hand: one script for a POSIX shell, with this city's addresses."""

from __future__ import annotations

import shlex
from pathlib import Path

from ops.tour.city import RunningCity

SCRIPT = """#!/bin/sh
# 逐步手工重做巡览 · Each step of the tour by hand. Run it whole, or line by line.
set -eu
export VAR_DIR={var}
JSON="Content-Type: application/json"
field() {{ python3 -c "import json, sys; print(json.load(sys.stdin)$1)"; }}
get() {{ curl -sS --fail-with-body "$2" -H "Authorization: Bearer $1"; }}
send() {{ curl -sS --fail-with-body -X "$1" "$3" -H "Authorization: Bearer $2" -H "$JSON" -d "$4"; }}
moment() {{ date -u +%Y-%m-%dT%H:%M:%SZ; }}
until_there() {{ n=0; while ! "$@" >/dev/null 2>&1; do n=$((n + 1)); [ $n -lt 180 ] || exit 1; sleep 0.5; done; }}
SAFE=$(liandong token worksafety-system --resource worksafety)
ROADS=$(liandong token traffic-system --resource traffic)
FIRE=$(liandong token fire-system --resource fire)
DUTY=$(liandong token duty)
CHIEF=$(liandong token commander)

# 1 泄漏 · the leak
R=$(send POST "$SAFE" {worksafety}/releases '{{"site": "{site}", "unit": "U1", "cas": "7782-50-5", "rate_kg_s": 0.8, "note": "exercise by hand"}}' | field "['id']")
# 2 影响范围 · the outline
outline() {{ get "$SAFE" "{worksafety}/releases/$R" | field "['outline']['isolation_m']"; }}
until_there outline && outline
# 3 道路 · roads
closed() {{ get "$ROADS" "{traffic}/closures/release-$R" | field "['arcs']"; }}
until_there closed && closed
# 4 车组与现场卡 · crews and the on-site card
incident() {{ get "$FIRE" "{fire}/collections/fire.incidents/items?filter=release%3D%27$R%27" | field "['features'][0]['id']"; }}
until_there incident && F=$(incident)
crews() {{ get "$FIRE" "{fire}/incidents/$F/crews-message" | field "['units']"; }}
until_there crews && crews
get "$DUTY" "{hub}/lookups/worksafety.on-site-card?lon={lon}&lat={lat}&radius_m=500" | field "['coverage']"
# 5 没有交通服务 · without traffic
CALL="by-hand-$(date +%s)"
kill -9 "$(field "['services']['traffic']['pid']" < "$VAR_DIR/run.json")"
send POST "$FIRE" {fire}/calls '{{"number": "'"$CALL"'", "kind": "structure_fire", "priority": "emergency", "received_at": "'"$(moment)"'", "lon": {fire_lon}, "lat": {fire_lat}, "crs": "wgs84"}}' >/dev/null
S=$(get "$FIRE" "{fire}/collections/fire.incidents/items?filter=kind%3D%27structure_fire%27&sortby=-opened_at&limit=1" | field "['features'][0]['id']")
send POST "$FIRE" "{fire}/incidents/$S/dispatch" '{{}}' >/dev/null
# 所问的唯一来源缺失：502，正文仍有来源说明 · 502, since the one source asked is missing; the body has the coverage
send POST "$DUTY" {hub}/aggregate '{{"dataset": "traffic.closures", "measures": {{"closures": {{"fn": "count"}}}}}}' | field "['coverage']"
sent() {{ get "$FIRE" "{fire}/incidents/$S" | field "['units'][0]['travel_times']"; }}
until_there sent && sent
# 6 预警（演练）· the warning, an exercise
regarded() {{ get "$DUTY" "{hub}/collections/hub.incidents/items?filter=kind%3D%27release%27&sortby=-opened_at&limit=1" | field "['features'][0]['id']"; }}
I=$(regarded)
EXPIRES=$(python3 -c 'from datetime import *; print((datetime.now(timezone.utc) + timedelta(minutes=10)).isoformat(timespec="seconds"))')
W=$(send POST "$DUTY" {hub}/warnings '{{"status": "Exercise", "incident": "'$I'", "level": 2, "hazard": "hazardous-release", "categories": ["CBRNE"], "urgency": "Immediate",
  "certainty": "Observed", "event_zh": "氯气泄漏", "event_en": "Chlorine release", "headline_zh": "氯气泄漏橙色预警", "headline_en": "Orange warning: chlorine release",
  "description_zh": "演练。请关闭门窗。", "description_en": "Exercise. Close windows.", "area_name_zh": "下风向", "area_name_en": "Downwind", "expires": "'$EXPIRES'"}}' | field "['id']")
send POST "$CHIEF" "{hub}/warnings/$W/approve" '{{"revision": 1}}' | field "['state']"
send POST "$CHIEF" "{hub}/warnings/$W/issue" '{{"revision": 2, "authority": "市人民政府（演练）", "legal_basis": "《突发事件应对法》第六十四条（演练）"}}' | field "['identifier']"
# 7 邻市 · the neighbour: see docs/services/intercity.md; received warnings at its gateway: GET /warnings/received
# 8 当时知道什么 · what was known when
BEFORE=$(moment); sleep 1
send POST "$SAFE" "{worksafety}/releases/$R" '{{"rate_kg_s": 2.5}}' >/dev/null
rate() {{ get "$DUTY" "{hub}/collections/worksafety.releases/items?filter=id%3D%27$R%27$1" | field "['features'][0]['properties']['rate_kg_s']"; }}
rate "&known_at=$BEFORE"; rate ""
# 9 结束 · the end
send POST "$SAFE" "{worksafety}/releases/$R/conclude" '{{}}' >/dev/null
busy() {{ get "$FIRE" "{fire}/incidents/$1" | python3 -c "import json, sys; print(' '.join(u['unit'] for u in json.load(sys.stdin)['units'] if not u['released_at']))"; }}
for each in "$F" "$S"; do
  for unit in $(busy "$each"); do send POST "$FIRE" "{fire}/units/$unit/state" '{{"state": "returning", "at": "'"$(moment)"'"}}' >/dev/null; done
  send POST "$FIRE" "{fire}/incidents/$each/close" '{{}}' | field "['state']"
done
for task in $(get "$DUTY" "{hub}/incidents/$I" | python3 -c "import json, sys; print(' '.join(t['id'] for t in json.load(sys.stdin)['tasks'] if t['state'] not in ('done', 'waived')))"); do
  send POST "$CHIEF" "{hub}/tasks/$task/waive" '{{"reason": "exercise by hand"}}' >/dev/null
done
send POST "$CHIEF" "{hub}/incidents/$I/close" '{{"revision": '"$(get "$DUTY" "{hub}/incidents/$I" | field "['revision']")"', "summary": "exercise by hand is over"}}' | field "['state']"
# 枢纽得到已重启的交通服务答复：道路已开放 · traffic, started again, tells the hub that the roads are open
reopened() {{ get "$DUTY" "{hub}/collections/traffic.closures/items?filter=id%3D%27release-$R%27" | field "['features'][0]['properties']['ended_at']" | grep -v None; }}
until_there reopened && reopened
"""  # noqa: E501 - lines of a shell script, to be copied one by one


def by_hand(city: RunningCity, var: Path, site: dict[str, object], elsewhere: dict[str, object]) -> str:
    """The whole script; `elsewhere`: where the second incident is."""
    urls = {name: city.url(name) for name in ("hub", "worksafety", "traffic", "fire")}
    fire_at = {f"fire_{name}": value for name, value in elsewhere.items()}
    return SCRIPT.format(var=shlex.quote(str(var)), site=site["id"], lon=site["lon"], lat=site["lat"], **fire_at, **urls)
