// The board: the start list before the gun, places while the race is on, times at the end.
import { useState } from "preact/hooks";
import type { ComponentChildren } from "preact";
import { num, type BoardRow } from "../live/types";
import type { Competition, ResultRow } from "./api";
import type { Live } from "./follow";
import { clock, gapTime, metres, result } from "./format";
import { colour } from "./map";
import { hasBegun, isOut, isOver, status, visits } from "./words";

const SHOWN = 100;

interface Props { rows: BoardRow[]; live: Live; race?: Competition; state: string; now: number }

export function Board({ rows, live, race, state, now }: Props) {
  const [all, setAll] = useState(false);
  if (rows.length === 0) return <p class="faint">{live.board.state === "" ? "The board is not here yet." : "Nobody is on the board yet."}</p>;
  const begun = hasBegun(state), over = isOver(state);
  const shown = all ? rows : rows.slice(0, SHOWN);
  return (
    <>
      <table class="board">
        <thead>
          <tr>
            {begun && <th class="place" scope="col"><abbr title="place">#</abbr></th>}
            <th scope="col" class="bibcell">Bib</th><th scope="col">Athlete</th>
            {begun && <><th scope="col" class="r">{over ? "Time" : "Last gate"}</th><th scope="col" class="r">Gap</th></>}
            {begun && !over && <th scope="col" class="r wide">To go</th>}
          </tr>
        </thead>
        <tbody>
          {shown.map((r) => <Row key={r.entry} r={r} first={r.place === 1 && r.entry === rows[0]!.entry} live={live} race={race} begun={begun} over={over} now={now} />)}
        </tbody>
      </table>
      {shown.length < rows.length && <button type="button" onClick={() => setAll(true)}>Show all {rows.length}</button>}
    </>
  );
}

export const Bib = ({ entry }: { entry: number }) => <span class="bibtag" style={{ background: colour(entry) }}>{entry}</span>;

interface RowProps { r: BoardRow; first: boolean; live: Live; race?: Competition; begun: boolean; over: boolean; now: number }

function Row({ r, first, live, race, begun, over, now }: RowProps) {
  const who = live.roster.get(r.entry ?? 0);
  const out = isOut(r.status), finished = status(r.status) === "FINISHED";
  const length = live.board.lengthMm;
  const share = length > 0 ? Math.min(100, (100 * num(r.progress_mm)) / length) : 0;
  const club = [who?.club, who?.flag].filter(Boolean).join(" · ");
  return (
    <tr class={num(r.offline_since_ms) > 0 && !finished ? "silent" : ""}>
      {begun && <td class="place">{out ? "" : r.place || "–"}</td>}
      <td class="bibcell"><Bib entry={r.entry ?? 0} /></td>
      <td class="who">
        <span class="name" title={who?.name}>{who?.name ?? `Athlete ${r.entry}`}</span>
        <Tags r={r} live={live} published={race?.result?.rows?.find((x) => x.entry === r.entry)} now={now} />
        {club && <div class="club" title={club}>{club}</div>}
        {begun && !over && !finished && !out && <div class="bar" role="presentation"><i style={{ width: `${share}%` }} /></div>}
      </td>
      {begun && <Times r={r} first={first} finished={finished} out={out} over={over} live={live} race={race} />}
      {begun && !over && <td class="r wide faint">{finished || out ? "" : metres(Math.max(0, length - num(r.progress_mm)))}</td>}
    </tr>
  );
}

function Times({ r, first, finished, out, over, live, race }: { r: BoardRow; first: boolean; finished: boolean; out: boolean; over: boolean; live: Live; race?: Competition }) {
  if (out) return <><td /><td /></>;
  const net = race?.definition?.rankBy === "RANK_BY_NET";
  const [main, other] = net ? [num(r.net_ms), num(r.gun_ms)] : [num(r.gun_ms), num(r.net_ms)];
  let time: ComponentChildren = "";
  if (finished) {
    time = <>{result(main)}{other > 0 && other !== main && <div class="club">{net ? "gun" : "net"} {result(other)}</div>}</>;
  } else if (num(r.gate_at_ms) > 0 && live.board.gunAtMs > 0) {
    const gate = visits(race?.definition?.track)[(r.gates_passed ?? 1) - 1]?.name;
    time = <>{clock(num(r.gate_at_ms) - live.board.gunAtMs)}{gate && <div class="club">{gate}</div>}</>;
  }
  const behind = num(r.gap_mm);
  const gap = first ? <span class="faint">{over ? "" : "leader"}</span> : <>{gapTime(num(r.gap_ms))}{behind > 0 && !finished && <div class="club">{metres(behind)}</div>}</>;
  return <><td class="r">{time}</td><td class="r">{gap}</td></>;
}

function Tags({ r, live, published, now }: { r: BoardRow; live: Live; published?: ResultRow; now: number }) {
  const out = isOut(r.status), finished = status(r.status) === "FINISHED";
  const since = num(r.offline_since_ms);
  const tags: ComponentChildren[] = [];
  if (out) tags.push(<span class="tag out" title={{ DNF: "did not finish", DNS: "did not start", DSQ: "disqualified" }[status(r.status)]}>{status(r.status)}</span>);
  if (r.under_review) tags.push(<span class="tag">under review</span>);
  if (r.unconfirmed) tags.push(<span class="tag" title="somebody ahead, or who was ahead, is offline: this place may change">unconfirmed</span>);
  if (since > 0 && !finished && !out) tags.push(<span class="tag">offline {clock(Math.max(0, (now || live.board.atMs) - since))}</span>);
  if (r.off_course && !finished && !out) tags.push(<span class="tag">off course</span>);
  const penalty = num(published?.penaltyMs);
  if (penalty !== 0 && finished) tags.push(<span class="tag">{penalty > 0 ? "+" : "−"}{Math.abs(penalty) / 1000} s</span>);
  return tags.length ? <span class="tags">{tags}</span> : null;
}
