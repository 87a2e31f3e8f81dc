// The course on a flat sheet: its line projected, and the point at a distance along it.

export interface LatLon { latE7?: number; lonE7?: number }
export interface Flat { x: number; y: number }

export interface Drawing {
  points: Flat[];
  at: number[]; // metres along the line, one for each point
  lengthM: number;
  width: number;
  height: number;
}

const R = 6_371_000;

// draw projects the line around its middle and fits it into a box that is `wide` units wide at most.
export function draw(line: LatLon[], wide: number, high: number, margin: number): Drawing | undefined {
  if (line.length < 2) return undefined;
  const rad = Math.PI / 180 / 1e7;
  const lat0 = line.reduce((s, p) => s + (p.latE7 ?? 0), 0) / line.length;
  const flat = line.map((p) => ({ x: (p.lonE7 ?? 0) * rad * R * Math.cos(lat0 * rad), y: -(p.latE7 ?? 0) * rad * R }));
  const at = [0];
  for (let i = 1; i < flat.length; i++) at.push(at[i - 1]! + Math.hypot(flat[i]!.x - flat[i - 1]!.x, flat[i]!.y - flat[i - 1]!.y));
  const xs = flat.map((p) => p.x), ys = flat.map((p) => p.y);
  const x0 = Math.min(...xs), x1 = Math.max(...xs), y0 = Math.min(...ys), y1 = Math.max(...ys);
  const k = Math.min((wide - 2 * margin) / Math.max(x1 - x0, 1), (high - 2 * margin) / Math.max(y1 - y0, 1));
  return {
    points: flat.map((p) => ({ x: margin + (p.x - x0) * k, y: margin + (p.y - y0) * k })),
    at, lengthM: at[at.length - 1]!, width: (x1 - x0) * k + 2 * margin, height: (y1 - y0) * k + 2 * margin,
  };
}

// oval is the track of a race that is run anywhere: the way around it is the way to the finish.
export function oval(wide: number, high: number, margin: number): Drawing {
  const n = 96, points: Flat[] = [], at = [0];
  for (let i = 0; i <= n; i++) {
    const a = -Math.PI / 2 + (2 * Math.PI * i) / n;
    points.push({ x: wide / 2 + (wide / 2 - margin) * Math.cos(a), y: high / 2 + (high / 2 - margin) * Math.sin(a) });
    if (i > 0) at.push(at[i - 1]! + Math.hypot(points[i]!.x - points[i - 1]!.x, points[i]!.y - points[i - 1]!.y));
  }
  return { points, at, lengthM: at[n]!, width: wide, height: high };
}

// pointAt is where somebody is after a share (0 to 1) of one lap.
export function pointAt(d: Drawing, share: number): Flat {
  const want = Math.min(Math.max(share, 0), 1) * d.lengthM;
  let i = d.at.findIndex((m) => m >= want);
  if (i < 0) i = d.at.length - 1;
  if (i === 0) return d.points[0]!;
  const a = d.points[i - 1]!, b = d.points[i]!;
  const u = (want - d.at[i - 1]!) / Math.max(d.at[i]! - d.at[i - 1]!, 1e-9);
  return { x: a.x + (b.x - a.x) * u, y: a.y + (b.y - a.y) * u };
}

// lapShare is the share of the present lap after a progress.
export function lapShare(progressMm: number, lengthMm: number, laps: number): number {
  if (lengthMm <= 0) return 0;
  const whole = Math.min(progressMm / lengthMm, 1) * Math.max(laps, 1);
  return whole >= Math.max(laps, 1) ? 1 : whole % 1;
}

// inward is the direction across the line at a share of it that looks to the middle of the drawing: where a name has room.
export function inward(d: Drawing, share: number): Flat {
  const a = pointAt(d, share - 0.004), b = pointAt(d, share + 0.004), p = pointAt(d, share);
  const along = Math.hypot(b.x - a.x, b.y - a.y) || 1;
  const n = { x: -(b.y - a.y) / along, y: (b.x - a.x) / along };
  const towards = n.x * (d.width / 2 - p.x) + n.y * (d.height / 2 - p.y);
  return towards >= 0 ? n : { x: -n.x, y: -n.y };
}
