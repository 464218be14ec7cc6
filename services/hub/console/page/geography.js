// Where areas have polygons: rings decoded and projected into the picture. Also shapes that come with coordinates, on the map or to scale beside it.
import { HIGH, WIDE } from "./schematic.js";

/** Rings of whole numbers, each point as the difference from the one before. */
function decoded(rings, unit) {
  return rings.map((coded) => {
    const points = [];
    for (let i = 0, x = 0, y = 0; i < coded.length; i += 2) points.push([(x += coded[i]) * unit, (y += coded[i + 1]) * unit]);
    return points;
  });
}

/** Equirectangular, true to scale along the middle parallel; `box` is west, south, east, north. Gives a function to picture units, and metres per unit. */
export function projection([west, south, east, north], [left, top, width, height]) {
  const squeeze = Math.cos(((south + north) / 2) * Math.PI / 180);
  const scale = Math.min(width / Math.max((east - west) * squeeze, 1e-9), height / Math.max(north - south, 1e-9));
  const [x0, y0] = [left + (width - (east - west) * squeeze * scale) / 2, top + (height - (north - south) * scale) / 2];
  const to = ([lon, lat]) => [x0 + (lon - west) * squeeze * scale, y0 + (north - lat) * scale];
  return { to, metres: 111320 / scale };
}

export function boxOf(points) {
  const box = [Infinity, Infinity, -Infinity, -Infinity];
  for (const [x, y] of points) {
    box[0] = Math.min(box[0], x); box[1] = Math.min(box[1], y); box[2] = Math.max(box[2], x); box[3] = Math.max(box[3], y);
  }
  return box;
}

const line = (points, to) => points.map((point) => to(point).map((value) => value.toFixed(1)).join(",")).join("L");

/** The areas that have polygons, the finest of each district, drawn; those that have none, to be listed. */
export function geography(drawn) {
  const withShape = drawn.areas.filter((area) => area.rings);
  const detailed = new Set(withShape.filter((area) => area.level === "town").map((area) => area.district));
  const shown = withShape.filter((area) => area.level === "town" || !detailed.has(area.code));
  const rings = new Map(withShape.map((area) => [area.code, decoded(area.rings, drawn.unit)]));
  const box = boxOf([...rings.values()].flat(2));
  const blocks = drawn.areas.filter((area) => area.level === "district" && !area.rings && !detailed.has(area.code));
  const floor = blocks.length ? 44 : 0;
  const { to, metres } = projection(box, [16, 16, WIDE - 32, HIGH - 32 - floor]);
  const path = (code) => rings.get(code).map((ring) => `M${line(ring, to)}Z`).join("");
  const cells = shown.map((area) => {
    const largest = rings.get(area.code).reduce((a, b) => (a.length >= b.length ? a : b));
    const [west, south, east, north] = boxOf(largest);
    const extent = boxOf(rings.get(area.code).flat().map(to));
    const [x, y] = to([(west + east) / 2, (south + north) / 2]);
    return { code: area.code, district: area.district, x, y, extent, path: path(area.code) };
  });
  const step = blocks.length ? (WIDE - 32) / blocks.length : 0;
  blocks.forEach((district, index) => {
    const towns = drawn.areas.filter((area) => area.level === "town" && area.district === district.code);
    (towns.length ? towns : [district]).forEach((area, place) => {
      const x = 16 + index * step + place * 30;
      cells.push({ code: area.code, district: district.code, x: x + 14, y: HIGH - 24, block: true, path: `M${x},${HIGH - 38}h28v28h-28Z` });
    });
  });
  const borders = withShape.filter((area) => area.level === "district").map((area) => ({ district: area.code, path: path(area.code) }));
  return { cells, borders, to, metres };
}

/** All points of a GeoJSON geometry. */
export function pointsOf(geometry) {
  if (!geometry) return [];
  if (geometry.type === "GeometryCollection") return geometry.geometries.flatMap(pointsOf);
  const depth = { Point: 0, MultiPoint: 1, LineString: 1, MultiLineString: 2, Polygon: 2, MultiPolygon: 3 }[geometry.type];
  return depth === undefined ? [] : depth ? geometry.coordinates.flat(depth - 1) : [geometry.coordinates];
}

/** A geometry as an SVG path; points become small circles. */
export function pathOf(geometry, to) {
  if (!geometry) return "";
  const { type, coordinates } = geometry;
  const dot = (point) => { const [x, y] = to(point); return `M${(x - 5).toFixed(1)},${y.toFixed(1)}a5,5 0 1 0 10,0a5,5 0 1 0 -10,0Z`; };
  if (type === "GeometryCollection") return geometry.geometries.map((each) => pathOf(each, to)).join("");
  if (type === "Point") return dot(coordinates);
  if (type === "MultiPoint") return coordinates.map(dot).join("");
  if (type === "LineString") return `M${line(coordinates, to)}`;
  if (type === "MultiLineString") return coordinates.map((each) => `M${line(each, to)}`).join("");
  const polygons = type === "Polygon" ? [coordinates] : type === "MultiPolygon" ? coordinates : [];
  return polygons.flat().map((ring) => `M${line(ring, to)}Z`).join("");
}
