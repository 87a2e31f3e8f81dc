// The result as it was published, in the board's rows: at the end nothing else counts.
import { num, type BoardRow } from "../live/types";
import type { ResultRow } from "./api";

// published puts places, order, times and gaps of a result into the board's rows; without a result they stay.
export function published(rows: BoardRow[], result: ResultRow[] | undefined, net: boolean): BoardRow[] {
  if (!result?.length) return rows;
  const board = new Map(rows.map((r) => [r.entry, r]));
  const time = (r: ResultRow) => num(net ? r.netUs : r.gunUs);
  const first = result.find((r) => r.place === 1);
  return result.map((r) => ({
    ...board.get(r.entry), entry: r.entry, place: r.place ?? 0, status: r.status, under_review: r.underReview, unconfirmed: false, offline_since_ms: 0,
    // Gun time is cut and net time rounded, as on the board.
    gun_ms: Math.floor(num(r.gunUs) / 1000), net_ms: Math.round(num(r.netUs) / 1000),
    gap_ms: first && time(r) > 0 ? Math.round((time(r) - time(first)) / 1000) : 0, gap_mm: 0,
  }));
}
