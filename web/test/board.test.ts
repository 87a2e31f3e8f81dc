import assert from "node:assert/strict";
import { test } from "node:test";
import { apply, empty, ranked } from "../live/board";
import { accepts, meaning } from "../live/client";
import { draw, lapShare, oval, pointAt } from "../src/course";
import { staleWords } from "../src/words";
import { clock, gapTime, metres, result } from "../src/format";

test("a delta changes, adds and removes rows; a snapshot begins anew", () => {
  let s = apply(empty(), { state: "RACE_STATE_RUNNING", rows: [{ entry: 1, place: 1 }, { entry: 2, place: 2 }] }, true);
  s = apply(s, { rows: [{ entry: 2, place: 1 }, { entry: 3, place: 3 }], removed: [1], at_ms: "5" }, false);
  assert.deepEqual([...s.rows.keys()].sort(), [2, 3]);
  assert.equal(s.state, "RACE_STATE_RUNNING");
  assert.equal(s.atMs, 5);
  assert.deepEqual([...apply(s, { rows: [{ entry: 9 }] }, true).rows.keys()], [9]);
});

test("what a delta leaves out stays; what a snapshot leaves out is gone", () => {
  const full = { state: "RACE_STATE_RUNNING", gun_at_ms: "7", course_length_mm: "9", entries: 3, gates: 2 };
  const row = { entry: 1, category: "open", heat: 2, gates_passed: 1, gate_at_ms: "8", position_at_ms: "90" };
  const s = apply(apply(empty(), { ...full, at_ms: "100", rows: [row] }, true), { at_ms: "200", rows: [{ entry: 1, gates_passed: 1, place: 1, position_age_ms: 30 }] }, false);
  assert.deepEqual([s.state, s.gunAtMs, s.lengthMm, s.entries, s.gates, s.atMs], ["RACE_STATE_RUNNING", 7, 9, 3, 2, 200]);
  assert.deepEqual(s.rows.get(1), { entry: 1, category: "open", heat: 2, gates_passed: 1, gate_at_ms: "8", place: 1, position_at_ms: 170 });
  assert.equal(apply(s, { at_ms: "250", rows: [{ entry: 1 }] }, false).rows.get(1)!.gate_at_ms, undefined); // no gate counts any more
  assert.equal(apply(s, { at_ms: "300" }, true).gunAtMs, 0);
});

test("every frame says whether the board is stale", () => {
  const stale = apply(apply(empty(), { gun_at_ms: "1000" }, true), { at_ms: "70000", stale_since_ms: "62000" }, false);
  assert.equal(stale.staleSinceMs, 62_000);
  assert.equal(staleWords(stale.staleSinceMs, stale.gunAtMs), "as it was at 1:01");
  assert.equal(staleWords(62_000, 0), "not up to date");
  assert.equal(apply(stale, { at_ms: "80000" }, false).staleSinceMs, 0);
});

test("places first, then racing by progress, then DNF, DNS, DSQ", () => {
  const s = apply(empty(), { rows: [
    { entry: 5, status: "ENTRY_STATUS_DSQ" }, { entry: 4, status: "ENTRY_STATUS_DNF" },
    { entry: 3, status: "ENTRY_STATUS_RACING", progress_mm: "5" }, { entry: 2, place: 2 }, { entry: 1, place: 1 },
  ] }, true);
  assert.deepEqual(ranked(s).map((r) => r.entry), [1, 2, 3, 4, 5]);
});

test("a viewer never goes back, and a delta needs its base", () => {
  const at = { epoch: 3, version: 10 };
  assert.equal(accepts(at, { topic: "t", epoch: "2", version: "99" }, false), "drop");
  assert.equal(accepts(at, { topic: "t", epoch: "3", version: "9" }, false), "drop");
  assert.equal(accepts(at, { topic: "t", epoch: "3", version: "11", base: "10" }, true), "take");
  assert.equal(accepts(at, { topic: "t", epoch: "3", version: "12", base: "11" }, true), "resubscribe");
  assert.equal(accepts(at, { topic: "t", epoch: "4", version: "1", base: "0" }, true), "resubscribe");
  assert.equal(accepts(at, { topic: "t", epoch: "4", version: "1" }, false), "take");
});

test("close codes say what to do", () => {
  assert.equal(meaning(4001), "reconnect");
  assert.equal(meaning(1006), "reconnect");
  assert.equal(meaning(4400), "renew");
  assert.equal(meaning(4503), "terminal");
  assert.equal(meaning(1009), "terminal");
});

test("the course is drawn to scale and walked by distance", () => {
  const d = draw([{ latE7: 0, lonE7: 0 }, { latE7: 0, lonE7: 1_000_000 }, { latE7: 1_000_000, lonE7: 1_000_000 }], 640, 480, 20)!;
  assert.ok(Math.abs(d.lengthM - 2 * 11119.5) < 5);
  const corner = pointAt(d, 0.5);
  assert.ok(Math.abs(corner.x - d.points[1]!.x) < 0.5 && Math.abs(corner.y - d.points[1]!.y) < 0.5);
  assert.deepEqual(pointAt(oval(640, 360, 34), 0), oval(640, 360, 34).points[0]);
  assert.equal(lapShare(1500, 3000, 3), 0.5);
  assert.equal(lapShare(3000, 3000, 3), 1);
});

test("numbers as people read them", () => {
  assert.equal(clock(3_725_999), "1:02:05");
  assert.equal(result(65_990), "1:05.9");
  assert.equal(gapTime(1_290), "+1.2");
  assert.equal(gapTime(61_000), "+1:01");
  assert.equal(gapTime(0), "");
  assert.equal(metres(12_345_678), "12.34 km");
});
