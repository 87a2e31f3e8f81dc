// Numbers as people read them.

const two = (n: number) => String(n).padStart(2, "0");

// clock is h:mm:ss or m:ss of a length of time.
export function clock(ms: number): string {
  const sign = ms < 0 ? "−" : "";
  const s = Math.floor(Math.abs(ms) / 1000);
  const h = Math.floor(s / 3600), m = Math.floor(s / 60) % 60;
  return sign + (h > 0 ? `${h}:${two(m)}:${two(s % 60)}` : `${m}:${two(s % 60)}`);
}

// result is a time with tenths, cut, as live results are shown.
export function result(ms: number): string {
  return `${clock(ms)}.${Math.floor((Math.abs(ms) % 1000) / 100)}`;
}

// gapTime is +s.t below a minute, +m:ss above; empty for none.
export function gapTime(ms: number): string {
  if (ms <= 0) return "";
  return ms < 60_000 ? `+${(Math.floor(ms / 100) / 10).toFixed(1)}` : `+${clock(ms)}`;
}

// metres is 980 m or 12.34 km.
export function metres(mm: number): string {
  const m = Math.floor(mm / 1000);
  return m < 1000 ? `${m} m` : `${(Math.floor(m / 10) / 100).toFixed(2)} km`;
}
