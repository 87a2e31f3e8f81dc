// What the page says: states, gates, and what happened.
import { num, type FeedItem } from "../live/types";
import type { Gate, Track } from "./api";
import { clock } from "./format";

// phase is a race's state as the page knows it: "running" of RACE_STATE_RUNNING.
export const phase = (state: string): string => state.replace("RACE_STATE_", "").toLowerCase();

const phases: Record<string, string> = { open: "open for entries", locked: "start list closed", settling: "finished, being counted" };
export const phaseName = (state: string): string => phases[phase(state)] ?? phase(state);

// staleWords says since when the board stands still because the node cannot store.
export const staleWords = (sinceMs: number, gunAtMs: number): string => (gunAtMs > 0 && sinceMs >= gunAtMs ? `as it was at ${clock(sinceMs - gunAtMs)}` : "not up to date");

export const isOver = (state: string): boolean => ["provisional", "official"].includes(phase(state));
export const hasBegun = (state: string): boolean => ["running", "settling", "provisional", "official"].includes(phase(state));

export const status = (s: string | undefined): string => (s ?? "").replace("ENTRY_STATUS_", "");
export const isOut = (s: string | undefined): boolean => ["DNF", "DNS", "DSQ"].includes(status(s));

// Visit is a gate that is passed at one point of the race: the start once, every other one on each lap.
export interface Visit { name: string; kind: string; atMm: number }

export function visits(track: Track | undefined): Visit[] {
  if (!track) return []; // not known yet: a gate without a name is better than one with a wrong name
  const gates = track.gates ?? [];
  const laps = Math.max(track.laps ?? 1, 1);
  const visit = (g: Gate, lap: number): Visit => ({
    name: laps > 1 && g.kind !== "GATE_KIND_START" ? `${g.id}, lap ${lap}` : (g.id ?? ""), kind: g.kind ?? "", atMm: num(g.atMm),
  });
  if (track.format === "FORMAT_DISTANCE") {
    return gates.length ? gates.map((g) => visit(g, 1)) : [{ name: "finish", kind: "GATE_KIND_FINISH", atMm: num(track.distanceMm) }];
  }
  if (!gates.length) return [{ name: "start", kind: "GATE_KIND_START", atMm: 0 }, { name: "finish", kind: "GATE_KIND_FINISH", atMm: 0 }];
  const rest = gates.slice(1);
  return [visit(gates[0]!, 1), ...Array.from({ length: laps }, (_, lap) => rest.map((g) => visit(g, lap + 1))).flat()];
}

const reasons: Record<string, string> = {
  "distance.implausible_step": "a jump in the distance", "position.implausible_step": "a jump in the position",
  "settle.unanswered": "the workout could not be read again", "late_input": "data came after the result was read",
};
const ends: Record<string, string> = { dnf: "did not finish", dns: "did not start", dsq: "is disqualified" };
const decisions: Record<string, string> = { ...ends, clear: "is cleared", reinstate: "is back in the race" };

// News is a feed item as it is shown.
export interface News { key: string; whenMs: number; text: string; weight: "" | "big" }

// news is the feed for people, newest first by the instant of what happened; what only repeats another item is left out.
export function news(feed: FeedItem[], track: Track | undefined, name: (entry: number) => string, begun: boolean): News[] {
  const all = visits(track);
  const last = all.length - 1;
  const finish = new Map(feed.filter((f) => f.kind === "gate" && (f.gate ?? 0) === last).map((f) => [f.entry, f]));
  const late = new Map(feed.filter((f) => f.kind === "late_input").map((f) => [f.entry, f])); // the newest of each
  const withdrawn = new Set(feed.filter((f) => f.kind === "withdrawn").map((f) => f.entry));
  const said = (f: FeedItem): string => {
    const who = f.entry ? name(f.entry) : "";
    const gate = all[f.gate ?? 0]?.name ?? `gate ${(f.gate ?? 0) + 1}`;
    const because = f.text ? `: ${reasons[f.text] ?? f.text}` : "";
    switch (f.kind) {
      case "started": return begun ? "The race has started" : "The start is set";
      case "gate": return finish.get(f.entry) === f ? "" : all[f.gate ?? 0]?.kind === "GATE_KIND_START" ? `${who} starts` : `${who} passes ${gate}`;
      case "gate_revised": return num(f.gate_at_ms) > 0 ? `${who}: the time at ${gate} is corrected` : `${who}: the passage of ${gate} does not count`;
      case "finished": return `${who} finishes`;
      case "status": return withdrawn.has(f.entry) ? "" : `${who} ${ends[f.text ?? ""] ?? f.text}`;
      case "withdrawn": return `${who} has withdrawn`;
      case "review": return `${who} is under review${because}`;
      case "penalty": return `${who} has a penalty${because}`;
      case "decided": return `${who} ${decisions[f.text ?? ""] ?? `: ${f.text}`}`;
      case "late_input": return late.get(f.entry) !== f ? "" : `${who}: data came after the result was read`;
      case "provisional": return "The result is provisional";
      case "official": return "The result is official";
      case "corrected": return `The result is corrected${because}`;
      case "cancelled": return `The race is cancelled${because}`;
      default: return [who, f.kind, f.text].filter(Boolean).join(" · ");
    }
  };
  const big = new Set(["started", "provisional", "official", "corrected", "cancelled"]);
  const whenOf = (f: FeedItem) => num((f.kind === "finished" ? finish.get(f.entry) : f)?.gate_at_ms) || num(f.at_ms);
  return feed
    .map((f): News & { version: number } => ({ key: String(f.version), version: num(f.version), whenMs: whenOf(f), text: said(f), weight: big.has(f.kind ?? "") ? "big" : "" }))
    .filter((n) => n.text)
    .sort((a, b) => b.whenMs - a.whenMs || b.version - a.version);
}
