package main

// pair is one line of the report: a benchmark of ours, and the bare one that it is compared with.
type pair struct {
	what, unit string
	bareUnit   string // empty: the same
	ours, bare string // "package Name/of/the/benchmark"; no bare: the figure stands alone
	faster     bool   // the ratio says how many times as fast we are, not how many times as dear
	bar        string // of docs/performance.md; empty: it names none
}

var pairs = []pair{
	{what: "wire decode, binary, 5 samples", unit: "cpu-ns/op", ours: "gateway/wire Decode/paceline.v1.proto/5", bare: "gateway/wire DecodeBare/paceline.v1.proto/5"},
	{what: "wire decode, binary, 512 samples", unit: "cpu-ns/op", ours: "gateway/wire Decode/paceline.v1.proto/512", bare: "gateway/wire DecodeBare/paceline.v1.proto/512"},
	{what: "wire decode, JSON, 5 samples", unit: "cpu-ns/op", ours: "gateway/wire Decode/paceline.v1.json/5", bare: "gateway/wire DecodeBare/paceline.v1.json/5"},
	{what: "device accept, 512 samples", unit: "cpu-ns/op", ours: "actors/device Accept", bare: "actors/device AcceptBare"},
	{what: "device shell, frame of 1", unit: "cpu-ns/op", ours: "actors/device/devicegrain Frame/1_sample", bare: "actors/device/devicegrain FrameBare/1_sample"},
	{what: "device shell, frame of 10", unit: "cpu-ns/op", ours: "actors/device/devicegrain Frame/10_samples", bare: "actors/device/devicegrain FrameBare/10_samples"},
	{what: "device shell, frame of 512", unit: "cpu-ns/op", ours: "actors/device/devicegrain Frame/512_samples", bare: "actors/device/devicegrain FrameBare/512_samples"},
	{what: "telemetry block, synced, 32 writers", unit: "cpu-ns/op", ours: "persistence/embedded Block/p16", bare: "persistence/embedded BlockBare/p16", bar: "≤ 1.5 × (P2, CPU)"},
	{what: "telemetry block, synced, 256 writers", unit: "cpu-ns/op", ours: "persistence/embedded Block/p128", bare: "persistence/embedded BlockBare/p128", bar: "≤ 1.5 × (P2, CPU)"},
	{what: "journal append, synced, 32 writers", unit: "cpu-ns/op", ours: "persistence/embedded Append/p16", bare: "persistence/embedded AppendBare/p16"},
	{what: "journal append, synced, 256 writers", unit: "cpu-ns/op", ours: "persistence/embedded Append/p128", bare: "persistence/embedded AppendBare/p128"},
	{what: "embedded: telemetry rows/s of a bare Pebble's, 32 writers", unit: "%-of-bare", ours: "persistence/embedded Stored/block", bar: "≥ 80 %"},
	{what: "embedded: journal appends/s of the bare batch's, 32 writers", unit: "%-of-bare", ours: "persistence/embedded Stored/append", bar: "≥ 90 %"},
	{what: "recovery, 10,000 events, snapshot 1,000 old", unit: "ms/recovery", ours: "cmd/node Recovery/snapshot_1000_events_old", bar: "≤ 5 ms"},
	{what: "recovery, 10,000 events, no snapshot", unit: "ms/recovery", ours: "cmd/node Recovery/no_snapshot"},
	{what: "CQL: telemetry rows/s of a bare gocql's, 32 writers", unit: "%-of-bare", ours: "persistence/cql Block/p32", bar: "≥ 80 %"},
	{what: "CQL: journal appends/s of the bare batch's, 16 writers", unit: "%-of-bare", ours: "persistence/cql Append/p16", bar: "≥ 90 %"},
	{what: "CQL: telemetry, CPU of the client", unit: "cpu-ns/op", ours: "persistence/cql Block/p32", bare: "persistence/cql Block/p32", bareUnit: "bare-cpu-ns/op"},
	{what: "CQL: journal append, CPU of the client", unit: "cpu-ns/op", ours: "persistence/cql Append/p16", bare: "persistence/cql Append/p16", bareUnit: "bare-cpu-ns/op"},
	{what: "a frame to a grain on another node, of one on the same", unit: "×-of-near", ours: "simulations/trial FrameAcross", bar: "≤ 2 ×"},
	{what: "three nodes together, of one, the same races", unit: "×-of-one", ours: "simulations/trial ThreeNodes", bar: "≤ 1.6 ×"},
	{what: "10,000 grains answer after a node is killed", unit: "s-to-10,000", ours: "simulations/trial TenThousandGrains", bar: "≤ 5 s"},
	{what: "board, 10k: update + rank, beside Redis", unit: "cpu-ns/op", ours: "domain/rank UpdateRank/any/10000", bare: "domain/rank UpdateRankRedis/any/10000", faster: true, bar: "≥ 5 × as fast (P4)"},
	{what: "board, 1M: update + rank, beside Redis", unit: "cpu-ns/op", ours: "domain/rank UpdateRank/any/1000000", bare: "domain/rank UpdateRankRedis/any/1000000", faster: true, bar: "≥ 5 × as fast (P4)"},
	{what: "board, 10k: beside the Redis process alone", unit: "cpu-ns/op", ours: "domain/rank UpdateRank/any/10000", bare: "domain/rank UpdateRankRedis/any/10000", bareUnit: "server-cpu-ns/op", faster: true},
	{what: "board, 1M: beside the Redis process alone", unit: "cpu-ns/op", ours: "domain/rank UpdateRank/any/1000000", bare: "domain/rank UpdateRankRedis/any/1000000", bareUnit: "server-cpu-ns/op", faster: true},
	{what: "board, 10k: memory", unit: "B/entry", ours: "domain/rank UpdateRank/any/10000", bar: "≤ 64 B (P4)"},
	{what: "board, 1M: memory", unit: "B/entry", ours: "domain/rank UpdateRank/any/1000000", bar: "≤ 64 B (P4)"},
	{what: "broadcast to 1,000, the same bytes", unit: "cpu-ns/frame", ours: "gateway/ws Broadcast/hub/1000", bare: "gateway/ws Broadcast/bare/1000", bar: "≤ 1.1 × (P3)"},
	{what: "broadcast to 1,000, bare sends all rows", unit: "cpu-ns/frame", ours: "gateway/ws Broadcast/hub/1000", bare: "gateway/ws Broadcast/whole/1000", bar: "≤ 1.1 × (P3)"},
	{what: "broadcast to 1,000, tick → last viewer", unit: "ns/op", ours: "gateway/ws Broadcast/hub/1000", bare: "gateway/ws Broadcast/bare/1000", bar: "≤ 1.1 × (P3)"},
	{what: "broadcast, 3 of 30 rows: bytes a viewer", unit: "bytes/frame", ours: "gateway/ws Broadcast/hub/1000", bare: "gateway/ws Broadcast/whole/1000", bar: "≤ 110 B (P3)"},
}
