import { useEffect, useMemo } from "preact/hooks";
import { ranked } from "../live/board";
import type { Connection } from "../live/client";
import { num } from "../live/types";
import type { Competition, Track } from "./api";
import { Board } from "./board";
import { useCompetition, useLive, useNodeNow, type Live } from "./follow";
import { clock, metres } from "./format";
import { GateTimes } from "./gates";
import { published } from "./published";
import { CourseMap } from "./map";
import { hasBegun, isOut, isOver, news, phase, phaseName, staleWords } from "./words";

const NEWS_SHOWN = 60;
const results = new Set(["provisional", "official", "corrected"]);

// Race is one race, from its start list to its official result.
export function Race({ id }: { id: string }) {
  const live = useLive(id);
  const boardState = live.board.state;
  const newest = useMemo(() => live.feed.findLast((f) => results.has(f.kind ?? ""))?.version ?? "", [live.feed]);
  const { race, missing } = useCompetition(id, `${boardState} ${newest}`);
  const now = useNodeNow(live.connection === "live");
  const state = boardState || race?.state || "";
  const track = race?.definition?.track;
  const title = race?.definition?.name ?? "";
  useEffect(() => { if (title) document.title = `${title} – Paceline`; }, [title]);
  const rows = useMemo(() => (isOver(state) ? published(ranked(live.board), race?.result?.rows, race?.definition?.rankBy === "RANK_BY_NET") : ranked(live.board)),
    [live.board, race, state]);
  if (missing && !race) {
    return <section class="card" role="alert"><h1>This race cannot be shown</h1><p>{missing}</p><p><a href="/">All races</a></p></section>;
  }
  const name = (entry: number) => live.roster.get(entry)?.name ?? `Athlete ${entry}`;
  const stale = live.connection !== "live" && boardState !== "";
  return (
    <div class={stale ? "stale" : ""}>
      <Head race={race} live={live} state={state} now={now} />
      {live.error && <p class="card notice" role="alert">{live.error}</p>}
      <div class="grid">
        <div class="stick">
          <section class="card course"><h2>{track?.format === "FORMAT_DISTANCE" ? "Way to the finish" : "On the course"}</h2>
            {track && <CourseMap track={track} rows={isOver(state) ? rows.filter((r) => !isOut(r.status)) : rows} roster={live.roster} board={live.board} />}
          </section>
        </div>
        <div class="column">
          <section class="card"><h2>{isOver(state) ? "Result" : hasBegun(state) || !state ? "Board" : "Start list"}</h2>
            <Board rows={rows} live={live} race={race} state={state} now={now} />
          </section>
          {isOver(state) && race?.result && <GateTimes race={race} gunAtMs={live.board.gunAtMs} name={name} />}
          <Feed live={live} track={track} name={name} begun={hasBegun(state)} />
        </div>
      </div>
    </div>
  );
}

const words: Record<Connection, string> = { connecting: "connecting", live: "live", lost: "connection lost, trying again", refused: "not connected" };

function Head({ race, live, state, now }: { race?: Competition; live: Live; state: string; now: number }) {
  const { board } = live;
  const track = race?.definition?.track;
  const laps = track?.laps ?? 0;
  const at = Math.max(now, live.connection === "live" ? 0 : board.atMs) || board.atMs;
  const running = ["countdown", "running"].includes(phase(state)) && board.gunAtMs > 0 && at > 0;
  const version = race?.result?.version ?? 0;
  const kind = phase(state) === "official" ? "official" : phase(state) === "provisional" ? "provisional" : "";
  const about = [track?.sport === "other" ? "" : track?.sport, metres(board.lengthMm || num(track?.distanceMm)), laps > 1 ? `${laps} laps` : "", `${board.entries || 0} ${board.entries === 1 ? "entry" : "entries"}`,
    `ranked by ${race?.definition?.rankBy === "RANK_BY_NET" ? "net" : "gun"} time`];
  return (
    <div class="head">
      <div>
        <h1>{race?.definition?.name ?? "…"}</h1>
        <p class="sub">{race ? about.filter(Boolean).join(" · ") : ""}</p>
      </div>
      <div class="now">
        {running && <div class="time" role="timer" aria-label={at < board.gunAtMs ? "time to the gun" : "time since the gun"}>{clock(at - board.gunAtMs)}</div>}
        <div class="pills" role="status">
          <span class={`pill ${live.connection}`}>{words[live.connection]}{live.connection === "refused" && live.why ? `: ${live.why}` : ""}</span>
          {board.staleSinceMs > 0 && <span class="pill warn" title="The node cannot store at the moment: this is the last that is certain. Nothing is lost, it comes when the node can store again.">{staleWords(board.staleSinceMs, board.gunAtMs)}</span>}
          {live.recovering && <span class="pill warn" title="The node has restarted: places are the last known and not yet confirmed by everybody.">recovering</span>}
          {state && <span class={`pill ${kind}`}>{phaseName(state)}{kind && version > 1 ? ` · version ${version}` : ""}</span>}
        </div>
      </div>
    </div>
  );
}

function Feed({ live, track, name, begun }: { live: Live; track?: Track; name(entry: number): string; begun: boolean }) {
  const items = useMemo(() => news(live.feed, track, name, begun).slice(0, NEWS_SHOWN), [live.feed, live.roster, track, begun]);
  if (items.length === 0) return null;
  return (
    <section class="card"><h2 id="news">What happened</h2>
      <div class="scroll feed" tabIndex={0} role="region" aria-labelledby="news">
        <ol>{items.map((n) => <li key={n.key} class={n.weight}><time>{live.board.gunAtMs ? clock(n.whenMs - live.board.gunAtMs) : ""}</time><span>{n.text}</span></li>)}</ol>
      </div>
    </section>
  );
}
