import { render } from "preact";
import { useEffect, useState } from "preact/hooks";
import { competitions, type Summary } from "./api";
import { Race } from "./race";
import { phase, phaseName } from "./words";
import "./style.css";

// The page has two places: /race/{id}, and the list of races everywhere else.
const raceId = (): string => decodeURIComponent(/^\/race\/([^/]+)\/?$/.exec(location.pathname)?.[1] ?? "");

function Brand() {
  return (
    <a class="brand" href="/">
      <svg viewBox="0 0 16 16" aria-hidden="true"><path d="M1 12l5-8 4 6 2-3 3 5z" fill="var(--accent)" /></svg>
      Paceline
    </a>
  );
}

const when = (r: Summary): string => {
  const at = Number(r.scheduledAtMs ?? 0);
  return at > 0 ? new Date(at).toLocaleString(undefined, { dateStyle: "medium", timeStyle: "short" }) : "";
};

// pills are the colours of states that stand out.
const pills: Record<string, string> = { running: "live", official: "official", provisional: "provisional" };

function Races() {
  const [races, setRaces] = useState<Summary[]>();
  const [error, setError] = useState("");
  useEffect(() => {
    const load = () => competitions().then((r) => { setRaces(r); setError(""); }, (e: Error) => setError(e.message));
    void load();
    const timer = setInterval(load, 5_000);
    return () => clearInterval(timer);
  }, []);
  const first = (r: Summary) => (phase(r.state ?? "") === "running" ? 0 : 1);
  return (
    <section class="card">
      <h1>Races on this node</h1>
      {error && <p role="alert" class="notice">The list of races cannot be read: {error}</p>}
      {races?.length === 0 && <p class="faint">No public race has been opened here yet.</p>}
      <ul class="races">
        {races?.toSorted((a, b) => first(a) - first(b) || Number(b.scheduledAtMs ?? 0) - Number(a.scheduledAtMs ?? 0)).map((r) => (
          <li key={r.competitionId}>
            <a href={`/race/${encodeURIComponent(r.competitionId ?? "")}`}>
              <span><span class="name">{r.name}</span><span class="club">{[r.sport, `${r.entries ?? 0} ${r.entries === 1 ? "entry" : "entries"}`, when(r)].filter(Boolean).join(" · ")}</span></span>
              <span class={`pill ${pills[phase(r.state ?? "")] ?? ""}`}>{phaseName(r.state ?? "") || "…"}</span>
            </a>
          </li>
        ))}
      </ul>
    </section>
  );
}

const id = raceId();
render(
  <>
    <header class="top"><Brand /></header>
    <main>{id ? <Race id={id} /> : <Races />}</main>
  </>,
  document.getElementById("app")!,
);
