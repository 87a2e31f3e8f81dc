import assert from "node:assert/strict";
import { test } from "node:test";
import { append } from "../live/feed";
import type { FeedItem } from "../live/types";
import { published } from "../src/published";
import { news, visits } from "../src/words";

const gates = [{ id: "start", kind: "GATE_KIND_START" }, { id: "bridge", kind: "GATE_KIND_SPLIT" }, { id: "finish", kind: "GATE_KIND_FINISH" }];
const name = (e: number) => ["", "Ann", "Ben"][e]!;

test("the start is passed once, every other gate on each lap", () => {
  assert.deepEqual(visits({ format: "FORMAT_COURSE", gates, laps: 2 }).map((v) => v.name),
    ["start", "bridge, lap 1", "finish, lap 1", "bridge, lap 2", "finish, lap 2"]);
  assert.deepEqual(visits({ format: "FORMAT_COURSE", gates }).map((v) => v.name), ["start", "bridge", "finish"]);
  assert.deepEqual(visits(undefined), []); // not known yet: no gate is called the finish
  assert.deepEqual(visits({ format: "FORMAT_COURSE" }).map((v) => v.name), ["start", "finish"]);
  assert.deepEqual(visits({ format: "FORMAT_DISTANCE", distanceMm: "5000000" }).map((v) => [v.name, v.atMm]), [["finish", 5_000_000]]);
});

test("a feed grows with snapshots as with deltas, and has each item once", () => {
  const one: FeedItem[] = [{ version: "3", kind: "started" }, { version: "5", kind: "gate" }];
  assert.deepEqual(append(one, [{ version: "5", kind: "gate" }, { version: "9", kind: "gate" }], 10).map((f) => f.version), ["3", "5", "9"]);
  assert.deepEqual(append(one, [{ version: "9" }], 2).map((f) => f.version), ["5", "9"]);
  assert.deepEqual(append(one, undefined, 10), one);
});

test("what happened is told once, by the instant at which it happened, newest first", () => {
  const feed: FeedItem[] = [
    { version: "1", kind: "status", entry: 2, text: "dns", at_ms: "500" }, { version: "2", kind: "withdrawn", entry: 2, at_ms: "500" },
    { version: "3", kind: "started", at_ms: "1000" }, { version: "4", kind: "gate", entry: 1, gate: 0, gate_at_ms: "1100", at_ms: "1200" },
    { version: "6", kind: "gate", entry: 1, gate: 2, gate_at_ms: "5000", at_ms: "9000" }, { version: "7", kind: "finished", entry: 1, at_ms: "9000" },
    { version: "8", kind: "gate", entry: 1, gate: 1, gate_at_ms: "3000", at_ms: "9500" }, { version: "9", kind: "review", entry: 1, text: "position.implausible_step", at_ms: "9600" },
  ];
  assert.deepEqual(news(feed, { format: "FORMAT_COURSE", gates }, name, true).map((n) => [n.whenMs, n.text]), [
    [9600, "Ann is under review: a jump in the position"], [5000, "Ann finishes"], [3000, "Ann passes bridge"], [1100, "Ann starts"],
    [1000, "The race has started"], [500, "Ben has withdrawn"],
  ]);
});

test("the published result decides places, times and gaps; without one the board stays", () => {
  const rows = [{ entry: 1, place: 1, category: "open", gun_ms: "9" }, { entry: 2, place: 2, unconfirmed: true }, { entry: 3, status: "ENTRY_STATUS_DNS" }];
  assert.deepEqual(published(rows, undefined, false), rows);
  const said = published(rows, [
    { entry: 2, place: 1, gunUs: "60000900", netUs: "59999600" }, { entry: 1, underReview: true, gunUs: "61500900", netUs: "61000000" }, { entry: 3, status: "ENTRY_STATUS_DNS" },
  ], false);
  assert.deepEqual(said.map((r) => [r.entry, r.place, r.gun_ms, r.net_ms, r.gap_ms, !!r.unconfirmed, !!r.under_review]),
    [[2, 1, 60000, 60000, 0, false, false], [1, 0, 61500, 61000, 1500, false, true], [3, 0, 0, 0, 0, false, false]]);
  assert.equal(said[1]!.category, "open");
});
