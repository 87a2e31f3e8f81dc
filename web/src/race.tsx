import { useEffect, useMemo, useState } from "preact/hooks";
import { apply, empty, ranked, type BoardState } from "../live/board";
import { LiveClient, type Connection } from "../live/client";
import { num, type BoardRow, type FeedItem, type RosterRow } from "../live/types";
import { competition, type Competition, type Track } from "./api";
import { draw, lapShare, oval, pointAt, type Drawing } from "./course";
import { clock, gapTime, metres, result } from "./format";
import { stateName } from "./main";

const FEED_SHOWN = 60;

interface Live {
  board: BoardState;
  recovering: boolean;
  roster: Map<number, RosterRow>;
  feed: FeedItem[];
  connection: Connection;
  why: string;
  error: string;
}

// useRace follows a race's topics.
function useRace(id: string): Live {
  const [live, setLive] = useState<Live>({ board: empty(), recovering: false, roster: new Map(), feed: [], connection: "connecting", why: "", error: "" });
  useEffect(() => {
    const change = (f: (l: Live) => Partial<Live>) => setLive((l) => ({ ...l, ...f(l) }));
    const url = `${location.protocol === "https:" ? "wss" : "ws"}://${location.host}/live`;
    const client = new LiveClient({ url, onConnection: (connection, why) => change(() => ({ connection, why })) });
    const refused = (e: { message?: string; code: string }) => change(() => ({ error: e.message ?? e.code }));
    client.subscribe(`competition/${id}/board`, "", {
      snapshot: (f) => change((l) => ({ board: apply(l.board, f.board ?? {}, true), recovering: !!f.recovering, error: "" })),
      delta: (f) => change((l) => ({ board: apply(l.board, f.board ?? {}, false), recovering: !!f.recovering })),
      refused,
    });
    const people = (rows: RosterRow[] | undefined, before: Map<number, RosterRow>) =>
      new Map([...before, ...(rows ?? []).map((r) => [r.entry ?? 0, r] as const)]);
    client.subscribe(`competition/${id}/roster`, "", {
      snapshot: (f) => change(() => ({ roster: people(f.roster?.rows, new Map()) })),
      delta: (f) => change((l) => ({ roster: people(f.roster?.rows, l.roster) })),
      refused,
    });
    const items = (more: FeedItem[] | undefined, before: FeedItem[]) => [...before, ...(more ?? [])].slice(-FEED_SHOWN);
    client.subscribe(`competition/${id}/feed`, "", {
      snapshot: (f) => change(() => ({ feed: items(f.feed?.items, []) })),
      delta: (f) => change((l) => ({ feed: items(f.feed?.items, l.feed) })),
      refused,
    });
    return () => client.close();
  }, [id]);
  return live;
}

// colour gives each entry one that differs from its neighbours' (golden angle).
export const colour = (entry: number): string => `hsl(${Math.round((entry * 137.508 + 200) % 360)} 62% 42%)`;

export function Race({ id }: { id: string }) {
  const live = useRace(id);
  const [race, setRace] = useState<Competition>();
  const [missing, setMissing] = useState("");
  const state = live.board.state || race?.state || "";
  useEffect(() => {
    competition(id).then((c) => { setRace(c); setMissing(""); }, (e: Error) => setMissing(e.message));
  }, [id, state]);
  const track = race?.definition?.track;
  const name = race?.definition?.name ?? "";
  useEffect(() => { if (name) document.title = `${name} – Paceline`; }, [name]);
  if (missing && !race) return <section class="card" role="alert"><h2>This race cannot be shown</h2><p>{missing}</p><p><a href="/">All races</a></p></section>;
  const rows = ranked(live.board);
  return (
    <>
      <Head race={race} live={live} state={state} />
      {live.error && <p class="card" role="alert">{live.error}</p>}
      <div class="grid">
        <div class="stick">
          <section class="card course"><h2>{track?.format === "FORMAT_DISTANCE" ? "Way to the finish" : "On the course"}</h2>
            {track && <CourseMap track={track} rows={rows} roster={live.roster} board={live.board} />}
          </section>
        </div>
        <div class="grid" style="grid-template-columns:minmax(0,1fr)">
          <section class="card"><h2>Board</h2><Board rows={rows} live={live} /></section>
          {live.feed.length > 0 && <section class="card"><h2>What happened</h2><Feed live={live} track={track} /></section>}
        </div>
      </div>
    </>
  );
}

function Head({ race, live, state }: { race?: Competition; live: Live; state: string }) {
  const { board } = live;
  const track = race?.definition?.track;
  const over = state.endsWith("PROVISIONAL") || state.endsWith("OFFICIAL");
  const length = metres(board.lengthMm || num(track?.distanceMm));
  const elapsed = board.gunAtMs && board.atMs ? board.atMs - board.gunAtMs : 0;
  const words: Record<Connection, string> = { connecting: "connecting", live: "live", lost: "connection lost, trying again", refused: "refused" };
  return (
    <div class="head">
      <div>
        <h1>{race?.definition?.name ?? "Race"}</h1>
        <p class="sub">{track?.sport} · {length}{(track?.laps ?? 0) > 1 ? ` · ${track?.laps} laps` : ""} · {board.entries || 0} entries · ranked by {race?.definition?.rankBy === "RANK_BY_NET" ? "net" : "gun"} time</p>
      </div>
      <div class="now">
        {!over && board.gunAtMs > 0 && <div class="time" role="timer" aria-label="time since the gun">{clock(elapsed)}</div>}
        <div class="pills" aria-live="polite">
          <span class={`pill ${live.connection}`}>{words[live.connection]}{live.connection === "refused" && live.why ? `: ${live.why}` : ""}</span>
          {live.recovering && <span class="pill warn">recovering</span>}
          <span class={`pill ${state.endsWith("OFFICIAL") ? "official" : state.endsWith("PROVISIONAL") ? "provisional" : ""}`}>{stateName(state)}{(race?.result?.version ?? 0) > 0 ? ` · version ${race?.result?.version}` : ""}</span>
        </div>
      </div>
    </div>
  );
}

function Board({ rows, live }: { rows: BoardRow[]; live: Live }) {
  if (rows.length === 0) return <p class="faint">Nobody is on the board yet.</p>;
  const leader = rows[0]!;
  const length = live.board.lengthMm;
  return (
    <table>
      <thead><tr><th class="place" scope="col">#</th><th scope="col">Bib</th><th scope="col">Athlete</th><th scope="col" class="r">{finishedAll(rows) ? "Time" : "At gate"}</th><th scope="col" class="r">Gap</th><th scope="col" class="r wide">To go</th></tr></thead>
      <tbody>{rows.map((r) => <Row key={r.entry} r={r} leader={leader} live={live} length={length} />)}</tbody>
    </table>
  );
}

const finishedAll = (rows: BoardRow[]): boolean => rows.every((r) => !/RACING|ENTERED/.test(r.status ?? ""));

function Row({ r, leader, live, length }: { r: BoardRow; leader: BoardRow; live: Live; length: number }) {
  const who = live.roster.get(r.entry ?? 0);
  const status = (r.status ?? "").replace("ENTRY_STATUS_", "");
  const out = status === "DNF" || status === "DNS" || status === "DSQ";
  const finished = status === "FINISHED";
  const first = r.entry === leader.entry;
  const share = length > 0 ? Math.min(100, (100 * num(r.progress_mm)) / length) : 0;
  const time = finished ? result(num(r.gun_ms)) : num(r.gate_at_ms) && live.board.gunAtMs ? clock(num(r.gate_at_ms) - live.board.gunAtMs) : "";
  const behind = num(r.gap_mm);
  return (
    <tr>
      <td class="place">{r.place || (out ? "" : "–")}</td>
      <td class="bibcell"><span class="bibtag" style={{ background: colour(r.entry ?? 0) }}>{r.entry}</span></td>
      <td>
        <span class="name">{who?.name ?? `Athlete ${r.entry}`}</span>{" "}
        <span class="tags">
          {out && <span class="tag out">{status}</span>}
          {r.under_review && <span class="tag">under review</span>}
          {r.unconfirmed && <span class="tag" title="somebody ahead in doubt is offline">unconfirmed</span>}
          {num(r.offline_since_ms) > 0 && !finished && !out && <span class="tag">offline {clock(Math.max(0, live.board.atMs - num(r.offline_since_ms)))}</span>}
          {r.off_course && <span class="tag">off course</span>}
        </span>
        {(who?.club || who?.flag) && <div class="club">{[who?.club, who?.flag].filter(Boolean).join(" · ")}</div>}
        {!finished && !out && <div class="bar" role="presentation"><i style={{ width: `${share}%` }} /></div>}
      </td>
      <td class="r">{time}{finished && num(r.net_ms) > 0 && num(r.net_ms) !== num(r.gun_ms) && <div class="club">net {result(num(r.net_ms))}</div>}</td>
      <td class="r">{first ? <span class="faint">leader</span> : <>{gapTime(num(r.gap_ms))}{behind > 0 && !finished && <div class="club">{metres(behind)}</div>}</>}</td>
      <td class="r wide faint">{finished || out ? "" : metres(Math.max(0, length - num(r.progress_mm)))}</td>
    </tr>
  );
}

function CourseMap({ track, rows, roster, board }: { track: Track; rows: BoardRow[]; roster: Map<number, RosterRow>; board: BoardState }) {
  const phone = useNarrow();
  const d: Drawing = useMemo(() => {
    const [wide, high, margin] = phone ? [350, 300, 26] : [640, 480, 40];
    return draw(track.line ?? [], wide, high, margin) ?? oval(wide, high * 0.7, margin);
  }, [track, phone]);
  const path = d.points.map((p, i) => `${i ? "L" : "M"}${p.x.toFixed(1)} ${p.y.toFixed(1)}`).join("");
  const laps = Math.max(track.laps ?? 1, 1);
  const length = board.lengthMm || num(track.distanceMm);
  const lap = length / laps;
  return (
    <svg viewBox={`0 0 ${d.width.toFixed(0)} ${d.height.toFixed(0)}`} role="img" aria-label="positions on the course">
      <path class="road" d={path} />
      {(track.gates ?? []).map((g) => {
        const p = pointAt(d, lap > 0 ? num(g.atMm) / lap : 0);
        return <g key={g.id}><circle cx={p.x} cy={p.y} r="5" fill="var(--card)" class="gate" /><text class="gate-name" x={p.x > d.width * 0.75 ? p.x - 10 : p.x + 10} y={p.y - 8} text-anchor={p.x > d.width * 0.75 ? "end" : "start"}>{g.id}</text></g>;
      })}
      {[...rows].reverse().map((r) => {
        const p = pointAt(d, lapShare(num(r.progress_mm), length, laps));
        const out = /DNF|DNS|DSQ/.test(r.status ?? "");
        if (/DNS/.test(r.status ?? "")) return null;
        const at = `translate(${p.x.toFixed(1)}px, ${p.y.toFixed(1)}px)`;
        return (
          <g key={r.entry} class={out || num(r.offline_since_ms) > 0 ? "faded" : ""}>
            <title>{roster.get(r.entry ?? 0)?.name ?? `Athlete ${r.entry}`}</title>
            <circle class="dot" r={r.place === 1 ? 13 : 11} style={{ transform: at }} fill={colour(r.entry ?? 0)} />
            <text class="bib" style={{ transform: at }}>{r.entry}</text>
          </g>
        );
      })}
    </svg>
  );
}

// useNarrow follows whether the screen is a phone's: the course is then drawn for its size, so that labels stay legible.
function useNarrow(): boolean {
  const query = useMemo(() => matchMedia("(max-width: 560px)"), []);
  const [narrow, setNarrow] = useState(query.matches);
  useEffect(() => {
    const change = () => setNarrow(query.matches);
    query.addEventListener("change", change);
    return () => query.removeEventListener("change", change);
  }, [query]);
  return narrow;
}

function Feed({ live, track }: { live: Live; track?: Track }) {
  const name = (e: number | undefined) => (e ? (live.roster.get(e)?.name ?? `Athlete ${e}`) : "");
  const gates = track?.gates ?? [];
  const gateName = (n: number | undefined) => gates[(n ?? 0) % Math.max(gates.length, 1)]?.id ?? `gate ${(n ?? 0) + 1}`;
  const line = (f: FeedItem): string => {
    switch (f.kind) {
      case "started": return "The race has started";
      case "gate": return `${name(f.entry)} passes ${gateName(f.gate)}`;
      case "finished": return `${name(f.entry)} has finished`;
      case "withdrawn": return `${name(f.entry)} has withdrawn`;
      case "provisional": return "The result is provisional";
      case "official": return "The result is official";
      case "corrected": return `The result was corrected${f.text ? `: ${f.text}` : ""}`;
      case "late_input": return `${name(f.entry)}: samples came after the result was read`;
      default: return [name(f.entry), f.kind, f.text].filter(Boolean).join(" · ");
    }
  };
  const when = (f: FeedItem) => num(f.gate_at_ms) || num(f.at_ms);
  return (
    <ol class="feed">
      {[...live.feed].reverse().map((f) => (
        <li key={String(f.version)}><time>{live.board.gunAtMs ? clock(when(f) - live.board.gunAtMs) : ""}</time><span>{line(f)}</span></li>
      ))}
    </ol>
  );
}
