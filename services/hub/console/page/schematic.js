// Where areas have no polygons: one hexagon for each town or street, those of a district side by side along a curve that fills the plane.

export const WIDE = 1000;
export const HIGH = 560;

/** Cells of a w × h grid in an order in which neighbours stay neighbours (generalised Hilbert curve, after J. Červený, "gilbert"). */
function curve(w, h) {
  const cells = [];
  const sign = Math.sign;
  const walk = (x, y, ax, ay, bx, by) => {
    const long = Math.abs(ax + ay);
    const short = Math.abs(bx + by);
    const [dax, day, dbx, dby] = [sign(ax), sign(ay), sign(bx), sign(by)];
    if (short === 1) { for (let i = 0; i < long; i++, x += dax, y += day) cells.push([x, y]); return; }
    if (long === 1) { for (let i = 0; i < short; i++, x += dbx, y += dby) cells.push([x, y]); return; }
    let [ax2, ay2, bx2, by2] = [ax, ay, bx, by].map((value) => Math.trunc(value / 2) - (value % 2 && value < 0 ? 1 : 0));
    if (2 * long > 3 * short) {
      if (Math.abs(ax2 + ay2) % 2 && long > 2) { ax2 += dax; ay2 += day; }
      walk(x, y, ax2, ay2, bx, by);
      walk(x + ax2, y + ay2, ax - ax2, ay - ay2, bx, by);
    } else {
      if (Math.abs(bx2 + by2) % 2 && short > 2) { bx2 += dbx; by2 += dby; }
      walk(x, y, bx2, by2, ax2, ay2);
      walk(x + bx2, y + by2, ax, ay, bx - bx2, by - by2);
      walk(x + (ax - dax) + (bx2 - dbx), y + (ay - day) + (by2 - dby), -bx2, -by2, -(ax - ax2), -(ay - ay2));
    }
  };
  if (w >= h) walk(0, 0, w, 0, 0, h);
  else walk(0, 0, 0, h, w, 0);
  return cells;
}

const EVEN = [[1, 0], [0, 1], [-1, 1], [-1, 0], [-1, -1], [0, -1]];
const ODD = [[1, 0], [1, 1], [0, 1], [-1, 0], [0, -1], [1, -1]];

/** `areas`: districts and towns. Gives the cells with their paths, and the borders between districts. */
export function schematic(areas) {
  const districts = areas.filter((area) => area.level === "district");
  const tiles = districts.flatMap((district) => {
    const towns = areas.filter((area) => area.level === "town" && area.district === district.code);
    return towns.length ? towns : [district];
  });
  if (!tiles.length) return { cells: [], borders: [], size: 0 };
  const columns = Math.max(1, Math.ceil(Math.sqrt(tiles.length * 1.55)));
  const rows = Math.ceil(tiles.length / columns);
  const size = Math.min((WIDE - 20) / ((columns + 0.5) * Math.sqrt(3)), (HIGH - 20) / (rows * 1.5 + 0.5));
  const [w, h] = [size * Math.sqrt(3), size * 1.5];
  const left = (WIDE - (columns + 0.5) * w) / 2;
  const top = (HIGH - (rows * h + size / 2)) / 2;
  const centre = (c, r) => [left + (c + 0.5 + (r % 2 ? 0.5 : 0)) * w, top + size + r * h];
  const corner = (x, y, i, scale = 1) => [x + size * scale * Math.cos(Math.PI / 3 * i + Math.PI / 6), y + size * scale * Math.sin(Math.PI / 3 * i + Math.PI / 6)];
  const text = (points) => points.map((point) => point.map((value) => value.toFixed(1)).join(",")).join("L");
  const places = curve(columns, rows).slice(0, tiles.length);
  const taken = new Map();
  const cells = tiles.map((tile, index) => {
    const [c, r] = places[index];
    const [x, y] = centre(c, r);
    taken.set(`${c},${r}`, tile.district);
    const path = `M${text([0, 1, 2, 3, 4, 5].map((i) => corner(x, y, i, 0.95)))}Z`;
    return { code: tile.code, district: tile.district, x, y, c, r, path };
  });
  const borders = cells.flatMap(({ c, r, x, y, district }) =>
    (r % 2 ? ODD : EVEN).flatMap(([dc, dr], side) => {
      const other = taken.get(`${c + dc},${r + dr}`);
      if (other === district) return [];
      return [{ district, path: `M${text([corner(x, y, (side + 5) % 6), corner(x, y, side)])}` }];
    }));
  return { cells, borders, size };
}
