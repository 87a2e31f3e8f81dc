// A board as a viewer holds it: rows by entry, changed by deltas, in the order in which people read it.
import { num, type Board, type BoardRow } from "./types";

export interface BoardState {
  state: string;
  gunAtMs: number;
  atMs: number;
  lengthMm: number;
  gates: number;
  entries: number;
  staleSinceMs: number; // 0: not stale
  rows: Map<number, BoardRow>;
}

export const empty = (): BoardState => ({ state: "", gunAtMs: 0, atMs: 0, lengthMm: 0, gates: 0, entries: 0, staleSinceMs: 0, rows: new Map() });

// whole is a row of a delta with what the delta leaves to the row that is held: category, heat, the last gate's time.
function whole(was: BoardRow | undefined, row: BoardRow, atMs: number): BoardRow {
  const { position_age_ms: age, ...r } = row;
  if (age !== undefined) r.position_at_ms = atMs - age;
  if (!was) return r;
  r.category ||= was.category;
  r.heat ||= was.heat;
  if (r.gates_passed) r.gate_at_ms = num(r.gate_at_ms) ? r.gate_at_ms : was.gate_at_ms;
  return r;
}

// apply makes a new state; a snapshot begins with no rows. What a delta leaves out of the header stays as it is, but for
// whether the board is stale: every frame says that.
export function apply(before: BoardState, b: Board, snapshot: boolean): BoardState {
  const kept = snapshot ? empty() : before;
  const rows = new Map(kept.rows);
  for (const r of b.rows ?? []) rows.set(r.entry ?? 0, whole(rows.get(r.entry ?? 0), r, num(b.at_ms)));
  for (const e of b.removed ?? []) rows.delete(e);
  return {
    state: b.state ?? kept.state,
    gunAtMs: num(b.gun_at_ms) || kept.gunAtMs,
    atMs: Math.max(num(b.at_ms), kept.atMs),
    lengthMm: num(b.course_length_mm) || kept.lengthMm,
    gates: b.gates ?? kept.gates,
    entries: b.entries ?? kept.entries,
    staleSinceMs: num(b.stale_since_ms),
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
