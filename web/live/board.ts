// A board as a viewer holds it: rows by entry, changed by deltas, in the order in which people read it.
import { num, type Board, type BoardRow } from "./types";

export interface BoardState {
  state: string;
  gunAtMs: number;
  atMs: number;
  lengthMm: number;
  gates: number;
  entries: number;
  rows: Map<number, BoardRow>;
}

export const empty = (): BoardState => ({ state: "", gunAtMs: 0, atMs: 0, lengthMm: 0, gates: 0, entries: 0, rows: new Map() });

// apply makes a new state; a snapshot begins with no rows.
export function apply(before: BoardState, b: Board, snapshot: boolean): BoardState {
  const rows = snapshot ? new Map<number, BoardRow>() : new Map(before.rows);
  for (const r of b.rows ?? []) rows.set(r.entry ?? 0, r);
  for (const e of b.removed ?? []) rows.delete(e);
  return {
    state: b.state ?? before.state,
    gunAtMs: num(b.gun_at_ms) || before.gunAtMs,
    atMs: Math.max(num(b.at_ms), snapshot ? 0 : before.atMs),
    lengthMm: num(b.course_length_mm) || before.lengthMm,
    gates: b.gates ?? before.gates,
    entries: b.entries ?? before.entries,
    rows,
  };
}

const order = ["ENTRY_STATUS_FINISHED", "ENTRY_STATUS_RACING", "ENTRY_STATUS_ENTERED", "ENTRY_STATUS_DNF", "ENTRY_STATUS_DNS", "ENTRY_STATUS_DSQ"];

// ranked is the rows as shown: places first, the others by status, then entry.
export function ranked(s: BoardState): BoardRow[] {
  const group = (r: BoardRow) => (r.place ? 0 : 1 + Math.max(0, order.indexOf(r.status ?? "")));
  return [...s.rows.values()].sort(
    (a, b) => group(a) - group(b) || (a.place ?? 0) - (b.place ?? 0) || num(b.progress_mm) - num(a.progress_mm) || (a.entry ?? 0) - (b.entry ?? 0),
  );
}
