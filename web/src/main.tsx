import { render } from "preact";
import { useEffect, useState } from "preact/hooks";
import { competitions, type Summary } from "./api";
import { Race } from "./race";
import "./style.css";

// The page has two places: /race/{id}, and the list of races everywhere else.
const raceId = (): string => /^\/race\/([^/]+)$/.exec(location.pathname)?.[1] ?? "";

function Brand() {
  return (
    <a class="brand" href="/">
      <svg viewBox="0 0 16 16" aria-hidden="true"><path d="M1 12l5-8 4 6 2-3 3 5z" fill="var(--accent)" /></svg>
      Paceline
    </a>
  );
}

export const stateName = (s: string): string => s.replace("RACE_STATE_", "").toLowerCase().replace("_", " ") || "…";

function Races() {
  const [races, setRaces] = useState<Summary[]>();
  const [error, setError] = useState("");
  useEffect(() => {
    const load = () => competitions().then((r) => { setRaces(r); setError(""); }, (e: Error) => setError(e.message));
    void load();
    const timer = setInterval(load, 5_000);
    return () => clearInterval(timer);
  }, []);
  return (
    <section class="card">
      <h2>Races on this node</h2>
      {error && <p role="alert">The list of races cannot be read: {error}</p>}
      {races?.length === 0 && <p class="faint">No public race has been opened here yet.</p>}
      <ul class="races">
        {races?.map((r) => (
          <li key={r.competitionId}>
            <a href={`/race/${r.competitionId}`}>
              <span><span class="name">{r.name}</span><br /><span class="club">{r.sport} · {r.entries ?? 0} entries</span></span>
              <span class="pill">{stateName(r.state ?? "")}</span>
            </a>
          </li>
        ))}
      </ul>
    </section>
  );
}

const id = raceId();
render(
  <main>
    <header class="top"><Brand /></header>
    {id ? <Race id={id} /> : <Races />}
  </main>,
  document.getElementById("app")!,
);
