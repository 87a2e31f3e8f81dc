// The captured frames of docs/protocol/frames: what a node sends is understood, what the page sends is what is captured.
import assert from "node:assert/strict";
import { readdirSync, readFileSync } from "node:fs";
import { test, type TestContext } from "node:test";
import { apply, empty, ranked } from "../live/board";
import { LiveClient, type Socket } from "../live/client";
import { append } from "../live/feed";
import type { Frame, LiveEvent, ServerError, ServerMessage } from "../live/types";

const folder = new URL("../../docs/protocol/frames/", import.meta.url);
const captured = (side: "client" | "server") => readdirSync(folder)
  .filter((f) => f.startsWith(`${side}-`) && f.endsWith(".json"))
  .map((f) => ({ name: f.slice(side.length + 4, -".json".length), text: readFileSync(new URL(f, folder), "utf8") }));

const kinds: Record<keyof Required<ServerMessage>, true> = {
  welcome: true, snapshot: true, delta: true, error: true, goodbye: true, pong: true, event: true,
  stream_opened: true, command_result: true, ack: true, throttle: true, control: true,
};
const contents = ["board", "roster", "positions", "feed", "workout", "inbox"] as const;

// shape says which fields a message has, with the kind of each.
type Shape = { [field: string]: "text" | "number" | "int64" | "flag" | Shape | [Shape | "number"] };
const boardRow: Shape = {
  entry: "number", place: "number", gates_passed: "number", gate_at_ms: "int64", gap_ms: "int64", gap_mm: "int64", progress_mm: "int64", status: "text",
  under_review: "flag", unconfirmed: "flag", offline_since_ms: "int64", net_ms: "int64", gun_ms: "int64", off_course: "flag", lat_e7: "number", lon_e7: "number",
  heat: "number", category: "text", position_at_ms: "int64", position_age_ms: "number",
};
const event: Shape = { kind: "text", text: "text", at_ms: "int64", version: "int64", competition_id: "text", entry: "number" };
const target: Shape = { power_w: "number", incline_bp: "number", resistance_deci: "number" };
const frame: Shape = {
  topic: "text", cut: "text", epoch: "int64", version: "int64", base: "int64", recovering: "flag", sub: "number",
  board: { state: "text", gun_at_ms: "int64", at_ms: "int64", course_length_mm: "int64", rows: [boardRow], removed: ["number"], entries: "number", gates: "number" },
  roster: { rows: [{ entry: "number", name: "text", club: "text", flag: "text", category: "text", heat: "number" }] },
  positions: { at_ms: "int64", rows: [{ entry: "number", progress_mm: "int64", lat_e7: "number", lon_e7: "number", at_ms: "int64", offline_since_ms: "int64", unconfirmed: "flag" }] },
  inbox: { items: [event] },
  feed: { items: [{ version: "int64", at_ms: "int64", kind: "text", entry: "number", gate: "number", gate_at_ms: "int64", place: "number", text: "text" }] },
  workout: {
    workout_id: "text", at_ms: "int64", elapsed_ms: "int64", distance_mm: "int64", progress_mm: "int64",
    heart_rate_bpm: "number", power_w: "number", cadence_rpm: "number", speed_mm_s: "number", state: "text",
    control: { ...target, result: "text", applied: "number", limited: "number", refused: "number", at_ms: "int64" },
  },
};
const shapes: Shape = {
  snapshot: frame, delta: frame,
  error: { code: "text", message: "text", retry: "flag", detail: "text", topic: "text", stream_id: "text", expected_seq: "int64", seq: "int64" },
  goodbye: { reason: "text", address: "text", reconnect_after_ms: "number" },
  event,
  pong: { t0_ms: "int64", t1_ms: "int64", t2_ms: "int64" },
  control: { ...target, control_id: "text", stream_id: "text", valid_until_ms: "int64" },
};

function conforms(value: unknown, shape: Shape[string] | "number", path: string): void {
  if (shape === "text") assert.equal(typeof value, "string", path);
  else if (shape === "number") assert.equal(typeof value, "number", path);
  else if (shape === "flag") assert.equal(typeof value, "boolean", path);
  else if (shape === "int64") assert.match(String(value), /^-?\d+$/, path);
  else if (Array.isArray(shape)) (value as unknown[]).forEach((v, i) => conforms(v, shape[0], `${path}[${i}]`));
  else for (const [k, v] of Object.entries(value as object)) {
    assert.ok(k in shape, `${path}.${k} is not known to the client`);
    conforms(v, shape[k]!, `${path}.${k}`);
  }
}

test("every captured server frame is a ServerMessage of one known kind", () => {
  const frames = captured("server");
  assert.ok(frames.length >= 18, `${frames.length} frames`);
  for (const { name, text } of frames) {
    const m = JSON.parse(text) as ServerMessage;
    const kind = Object.keys(m);
    assert.equal(kind.length, 1, name);
    assert.ok(kind[0]! in kinds, `${name}: ${kind[0]}`);
    if (kind[0]! in shapes) conforms(m[kind[0] as keyof ServerMessage], shapes[kind[0]!]!, name);
    const f = m.snapshot ?? m.delta;
    if (f) assert.equal(contents.filter((c) => f[c]).length, 1, name);
  }
});

// stopped stops the timers of a test, which lets them go on by hand.
function stopped(t: TestContext): { tick(ms: number): void } {
  const real = { setTimeout, setInterval, clearTimeout, clearInterval };
  const timers = new Map<number, { at: number; every: number; run: () => void }>();
  let now = 0, last = 0;
  const set = (every: boolean) => (run: () => void, ms: number) => { timers.set(++last, { at: now + ms, every: every ? ms : 0, run }); return last; };
  const clear = (n: number) => { timers.delete(n); };
  Object.assign(globalThis, { setTimeout: set(false), setInterval: set(true), clearTimeout: clear, clearInterval: clear });
  t.after(() => Object.assign(globalThis, real));
  return {
    tick(ms) {
      for (const until = now + ms; ;) {
        const next = [...timers].filter(([, x]) => x.at <= until).sort(([, a], [, b]) => a.at - b.at)[0];
        if (!next) { now = until; return; }
        const [n, x] = next;
        now = x.at;
        if (x.every) x.at += x.every;
        else timers.delete(n);
        x.run();
      }
    },
  };
}

// Wire is a socket in a test's hands.
class Wire implements Socket {
  readyState = 1;
  sent: Record<string, Record<string, unknown>>[] = [];
  onopen: Socket["onopen"] = null;
  onmessage: Socket["onmessage"] = null;
  onclose: Socket["onclose"] = null;
  send(data: unknown): void { this.sent.push(JSON.parse(String(data))); }
  close(): void { this.readyState = 3; }
  open(): void { this.onopen!.call(this as unknown as WebSocket, {} as Event); }
  take(text: string): void { this.onmessage!.call(this as unknown as WebSocket, { data: text } as MessageEvent); }
  end(code: number): void { this.onclose!.call(this as unknown as WebSocket, { code, reason: "" } as CloseEvent); }
}

function connected(): { wires: Wire[]; client: LiveClient; states: string[] } {
  const wires: Wire[] = [], states: string[] = [];
  const client = new LiveClient({
    url: "ws://node/live", onConnection: (s) => states.push(s),
    connect: () => { wires.push(new Wire()); return wires[wires.length - 1]!; },
  });
  return { wires, client, states };
}

test("the viewer's frames are applied as they were captured", (t) => {
  stopped(t);
  const { wires, client } = connected();
  let board = empty();
  let feed: Frame["feed"] = { items: [] };
  const names: string[] = [], errors: ServerError[] = [];
  const race = "competition/regatta-2024";
  client.subscribe(`${race}/board`, "top:10", {
    snapshot: (f) => { board = apply(board, f.board!, true); }, delta: (f) => { board = apply(board, f.board!, false); }, refused: (e) => errors.push(e),
  });
  client.subscribe(`${race}/roster`, "", { snapshot: (f) => names.push(...f.roster!.rows!.map((r) => r.name!)), delta: () => assert.fail() });
  const take = (f: Frame) => { feed = { items: append(feed!.items!, f.feed!.items, 10) }; };
  client.subscribe(`${race}/feed`, "", { snapshot: take, delta: take });
  const inbox: LiveEvent[] = [];
  const told = (f: Frame) => { inbox.push(...f.inbox!.items!); };
  client.subscribe("inbox", "", { snapshot: told, delta: told });
  const places: Frame["positions"][] = [];
  client.subscribe(`${race}/positions`, "audience:official,top:10", { snapshot: (f) => { places.push(f.positions); }, delta: () => assert.fail() });
  const wire = wires[0]!;
  wire.open();
  // The captured delta of the feed has the base 38: a snapshot at 38 comes before it.
  wire.take(JSON.stringify({ snapshot: { topic: `${race}/feed`, epoch: "1", version: "38", sub: 10, feed: { items: [{ version: "38", kind: "started" }] } } }));
  for (const { text } of captured("server")) wire.take(text);
  assert.deepEqual(ranked(board).map((r) => [r.entry, r.place]), [[2, 1], [1, 2]]);
  assert.equal(board.gunAtMs, 1718462760000);
  assert.equal(board.lengthMm, 12_000_000);
  assert.equal(board.state, "RACE_STATE_RUNNING");
  const second = board.rows.get(2)!; // changed by the delta, which leaves out what is as it was
  assert.deepEqual([second.category, second.heat, Number(second.gate_at_ms)], ["open", 1, 1718464211123]);
  assert.ok(Number(second.position_at_ms) > 1718464299000);
  assert.ok(board.atMs >= 1718464300250);
  assert.deepEqual(names, ["Ann Ahoi", "Athlete 2"]);
  assert.deepEqual(feed.items!.map((i) => [Number(i.version), i.kind]), [[38, "started"], [41, "gate"]]);
  assert.deepEqual(inbox.map((e) => [Number(e.version), e.kind, e.text, e.entry]), [[14, "reaction", "bell", 2], [15, "reaction", "applause", 2]]);
  assert.deepEqual(places.map((p) => p!.rows!.map((r) => [r.entry, r.lat_e7, r.unconfirmed])), [[[2, 535658000, undefined], [1, 535657100, true]]]);
  assert.deepEqual(errors, []); // the captured errors are about other topics
  client.close();
});

test("what the client sends has the fields of the captured frames", (t) => {
  const time = stopped(t);
  const known = new Map<string, string[]>();
  for (const { text } of captured("client")) {
    for (const [k, v] of Object.entries(JSON.parse(text) as Record<string, object>)) known.set(k, [...(known.get(k) ?? []), ...Object.keys(v)]);
  }
  const { wires, client } = connected();
  const wire = wires[0]!;
  wire.open();
  wire.take(JSON.stringify({ welcome: {} }));
  client.subscribe("competition/c/board", "top:10", { snapshot: () => undefined, delta: () => undefined })();
  time.tick(15_000);
  assert.deepEqual(wire.sent.flatMap((m) => Object.keys(m)), ["hello", "subscribe", "unsubscribe", "ping"]);
  for (const m of wire.sent) {
    for (const [kind, fields] of Object.entries(m)) {
      for (const f of Object.keys(fields)) assert.ok(known.get(kind)?.includes(f), `${kind}.${f}`);
    }
  }
  client.close();
});

test("a connection that ends comes back, resumes where it was, and says so once", (t) => {
  const time = stopped(t);
  const { wires, client, states } = connected();
  client.subscribe("competition/c/board", "", { snapshot: () => undefined, delta: () => undefined });
  wires[0]!.open();
  wires[0]!.take(JSON.stringify({ welcome: {} }));
  wires[0]!.take(JSON.stringify({ snapshot: { topic: "competition/c/board", epoch: "4", version: "17", board: {} } }));
  wires[0]!.end(1006);
  time.tick(500);
  wires[1]!.end(1006); // nobody answers
  time.tick(1_000);
  wires[2]!.open();
  wires[2]!.take(JSON.stringify({ welcome: {} }));
  assert.deepEqual(states, ["connecting", "live", "lost", "lost", "live"]);
  assert.deepEqual(wires[2]!.sent.map((m) => Object.keys(m)[0]), ["hello", "subscribe"]);
  assert.deepEqual(wires[2]!.sent[1]!.subscribe, { topic: "competition/c/board", cut: "", epoch: "4", version: "17" });
  client.close();
});

test("a node that leaves says when to come back; a terminal code is the end", (t) => {
  const time = stopped(t);
  const { wires, client, states } = connected();
  wires[0]!.open();
  wires[0]!.take(JSON.stringify({ welcome: {} }));
  wires[0]!.take(JSON.stringify({ goodbye: { reason: "leaving", reconnect_after_ms: 5_000 } }));
  wires[0]!.end(4000);
  time.tick(4_999);
  assert.equal(wires.length, 1);
  time.tick(1);
  assert.equal(wires.length, 2);
  wires[1]!.open();
  wires[1]!.end(4505);
  time.tick(60_000);
  assert.equal(wires.length, 2);
  assert.equal(states.at(-1), "refused");
  client.close();
});

test("a subscription that may succeed later is asked again, slower each time; another is the reader's", (t) => {
  const time = stopped(t);
  const { wires, client } = connected();
  const refused: string[] = [];
  client.subscribe("competition/c/board", "", { snapshot: () => undefined, delta: () => undefined, refused: (e) => refused.push(e.code) });
  const wire = wires[0]!;
  wire.open();
  wire.take(JSON.stringify({ welcome: {} }));
  const asked = () => wire.sent.filter((m) => m.subscribe).length;
  const busy = JSON.stringify({ error: { code: "hub.busy", retry: true, topic: "competition/c/board" } });
  wire.take(busy);
  time.tick(1_000);
  assert.equal(asked(), 2);
  wire.take(busy);
  time.tick(1_000);
  assert.equal(asked(), 2);
  time.tick(1_000);
  assert.equal(asked(), 3);
  assert.deepEqual(refused, []);
  wire.take(JSON.stringify({ error: { code: "competition.unknown", topic: "competition/c/board" } }));
  assert.deepEqual(refused, ["competition.unknown"]);
  client.close();
});

test("an event is taken once, in order, and resumed after", (t) => {
  const time = stopped(t);
  const { wires, client } = connected();
  const seen: string[] = [];
  client.subscribe("inbox", "", {
    snapshot: (f) => seen.push(...f.inbox!.items!.map((e) => `S${e.version}`)), delta: (f) => seen.push(...f.inbox!.items!.map((e) => `E${e.version}`)),
  });
  const event = (version: number) => JSON.stringify({ event: { kind: "reaction", text: "bell", version: String(version) } });
  wires[0]!.open();
  wires[0]!.take(JSON.stringify({ welcome: {} }));
  wires[0]!.take(JSON.stringify({ snapshot: { topic: "inbox", epoch: "1", version: "5", sub: 3, inbox: { items: [{ version: "2" }, { version: "5" }] } } }));
  for (const v of [6, 9, 9, 6]) wires[0]!.take(event(v));
  assert.deepEqual(seen, ["S2", "S5", "E6", "E9"]);
  wires[0]!.end(1006);
  time.tick(500);
  wires[1]!.open();
  wires[1]!.take(JSON.stringify({ welcome: {} }));
  assert.deepEqual(wires[1]!.sent[1]!.subscribe, { topic: "inbox", cut: "", epoch: "1", version: "9" });
  client.close();
});

test("a delta may say by number what it is about, on the connection that has named it", () => {
  const { wires, client } = connected();
  const seen: string[] = [];
  for (const cut of ["", "top:3"]) {
    client.subscribe("competition/c/board", cut, { snapshot: (f) => seen.push(`${cut} S${f.version}`), delta: (f) => seen.push(`${cut} D${f.version}`) });
  }
  const wire = wires[0]!;
  wire.open();
  wire.take(JSON.stringify({ welcome: {} }));
  wire.take(JSON.stringify({ snapshot: { topic: "competition/c/board", epoch: "1", version: "1", sub: 4, board: {} } }));
  wire.take(JSON.stringify({ snapshot: { topic: "competition/c/board", cut: "top:3", epoch: "1", version: "1", sub: 5, board: {} } }));
  wire.take(JSON.stringify({ delta: { epoch: "1", version: "2", base: "1", sub: 5, board: {} } }));
  wire.take(JSON.stringify({ delta: { epoch: "1", version: "2", base: "1", sub: 9, board: {} } })); // of nobody here
  wire.take(JSON.stringify({ delta: { epoch: "1", version: "2", base: "1", sub: 4, board: {} } }));
  assert.deepEqual(seen, [" S1", "top:3 S1", "top:3 D2", " D2"]);
  client.close();
});
