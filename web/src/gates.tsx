// The times at the gates, once there is a result.
import { num } from "../live/types";
import type { Competition, ResultRow } from "./api";
import { Bib } from "./board";
import { gapTime, result } from "./format";
import { visits } from "./words";

// begin is the instant from which an entry's times count.
function begin(r: ResultRow, net: boolean, gunAtMs: number): number {
  if (net) return num(r.startUs);
  return num(r.finishUs) && num(r.gunUs) ? num(r.finishUs) - (num(r.gunUs) - num(r.penaltyMs) * 1000) : gunAtMs * 1000;
}

export function GateTimes({ race, gunAtMs, name }: { race: Competition; gunAtMs: number; name(entry: number): string }) {
  const net = race.definition?.rankBy === "RANK_BY_NET";
  const rows = (race.result?.rows ?? []).filter((r) => (r.gates ?? []).length > 0);
  const columns = visits(race.definition?.track).map((v, gate) => ({ ...v, gate })).filter((v) => v.kind !== "GATE_KIND_START");
  if (rows.length === 0 || columns.length < 2) return null;
  const at = (r: ResultRow, gate: number): number => {
    const g = r.gates?.find((x) => (x.gate ?? 0) === gate);
    return g ? Math.floor((num(g.atUs) - begin(r, net, gunAtMs)) / 1000) : 0;
  };
  const best = columns.map((c) => Math.min(...rows.map((r) => at(r, c.gate)).filter((ms) => ms > 0)));
  return (
    <section class="card">
      <h2 id="gates">Times at the gates</h2>
      <div class="scroll" tabIndex={0} role="region" aria-labelledby="gates">
        <table>
          <thead><tr><th scope="col">Athlete</th>{columns.map((c) => <th scope="col" class="r" key={c.gate}>{c.name}</th>)}</tr></thead>
          <tbody>
            {rows.map((r) => (
              <tr key={r.entry}>
                <th scope="row" class="gatewho"><Bib entry={r.entry ?? 0} /> <span class="name">{name(r.entry ?? 0)}</span></th>
                {columns.map((c, i) => {
                  const ms = at(r, c.gate);
                  return <td class="r" key={c.gate}>{ms > 0 ? <><span class={ms === best[i] ? "best" : ""}>{result(ms)}</span><div class="club">{gapTime(ms - best[i]!)}</div></> : <span class="faint">–</span>}</td>;
                })}
              </tr>
            ))}
          </tbody>
        </table>
      </div>
    </section>
  );
}
