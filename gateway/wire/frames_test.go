package wire_test

import (
	"bytes"
	"encoding/json"
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"google.golang.org/protobuf/proto"

	liveboard "paceline/api/board"
	livev1 "paceline/api/gen/paceline/live/v1"
	"paceline/gateway/wire"
)

var rewrite = flag.Bool("rewrite", false, "write docs/protocol/frames anew")

const frames = "../../docs/protocol/frames"

type clientFrame = livev1.ClientMessage
type serverFrame = livev1.ServerMessage

const (
	streamID  = "018ff5a0-1c3e-7a10-8b7e-3f1c2a9d4e55"
	commandID = "018ff5a0-2b11-7c44-9d02-5e7a61b0c9f3"
	raceID    = "regatta-2024"
	workoutID = "018ff5a0-0a5b-7e21-a1f4-7b3c9d8e6f10"
)

// clientFrames is one of each message of a client, as in one athlete's session.
func clientFrames() map[string]*clientFrame {
	command := func(c *livev1.Command) *clientFrame {
		c.CommandId = commandID
		return &clientFrame{Message: &livev1.ClientMessage_Command{Command: c}}
	}
	return map[string]*clientFrame{
		"01-hello": {Message: &livev1.ClientMessage_Hello{Hello: &livev1.Hello{
			Token: "eyJhbGciOiJFZERTQSIsImtpZCI6ImsxIn0.e30.c2ln", Client: "watch-face/3.1", ClockMs: 1718462700000}}},
		"02-open_stream": {Message: &livev1.ClientMessage_OpenStream{OpenStream: &livev1.OpenStream{
			DeviceId: "ann/watch", StreamId: streamID, WorkoutId: workoutID, Clock: livev1.ClockKind_CLOCK_KIND_GNSS, DeviceTimeMs: 1718462700120,
			Channels: []*livev1.ChannelSpec{
				{Channel: livev1.Channel_CHANNEL_HEART_RATE_BPM, Trust: livev1.Trust_TRUST_MEASURED},
				{Channel: livev1.Channel_CHANNEL_LAT_E7, Trust: livev1.Trust_TRUST_MEASURED},
				{Channel: livev1.Channel_CHANNEL_LON_E7, Trust: livev1.Trust_TRUST_MEASURED},
			}, Sport: "sail"}}},
		"20-start_workout_plan": command(&livev1.Command{WorkoutId: workoutID, Command: &livev1.Command_StartWorkout{StartWorkout: &livev1.StartWorkout{
			Sport: "ride", Zone: "Europe/Berlin", UtcOffsetS: 7200, DeviceTimeMs: 1718462700200,
			Plan: []*livev1.PlanStep{{ForS: 600, PowerW: 150}, {ForS: 240, PowerW: 280}, {ForS: 180, PowerW: 120}}}}}),
		"19-open_stream_trainer": {Message: &livev1.ClientMessage_OpenStream{OpenStream: &livev1.OpenStream{
			DeviceId: "ann/trainer", StreamId: streamID, WorkoutId: workoutID, Clock: livev1.ClockKind_CLOCK_KIND_NTP, DeviceTimeMs: 1718462700120,
			Sport: "ride", Channels: []*livev1.ChannelSpec{
				{Channel: livev1.Channel_CHANNEL_POWER_W, Trust: livev1.Trust_TRUST_MEASURED},
				{Channel: livev1.Channel_CHANNEL_LAT_E7, Trust: livev1.Trust_TRUST_VIRTUAL},
				{Channel: livev1.Channel_CHANNEL_LON_E7, Trust: livev1.Trust_TRUST_VIRTUAL},
			}, Control: &livev1.ControlOffer{Enabled: true, Equipment: livev1.Equipment_EQUIPMENT_BIKE,
				PowerW: &livev1.ControlRange{Least: 50, Most: 800, RampPerS: 100}, InclineBp: &livev1.ControlRange{Least: -1000, Most: 2000, RampPerS: 200}}}}},
		"03-start_workout": command(&livev1.Command{WorkoutId: workoutID, Command: &livev1.Command_StartWorkout{StartWorkout: &livev1.StartWorkout{
			Sport: "sail", Zone: "Europe/Berlin", UtcOffsetS: 7200, DeviceTimeMs: 1718462700200}}}),
		"04-join": command(&livev1.Command{WorkoutId: workoutID, Command: &livev1.Command_Join{Join: &livev1.Join{
			CompetitionId: raceID, PrimaryStreamId: streamID}}}),
		"05-ready": command(&livev1.Command{WorkoutId: workoutID, Command: &livev1.Command_Ready{Ready: &livev1.Ready{CompetitionId: raceID}}}),
		"06-telemetry": {Message: &livev1.ClientMessage_Telemetry{Telemetry: &livev1.Telemetry{
			StreamId: streamID, FirstSeq: 1, BaseTimeMs: 1718462760000, AtDeltaMs: []int64{0, 1000, 1000, 1000},
			Columns: []*livev1.Column{
				{Channel: livev1.Channel_CHANNEL_HEART_RATE_BPM, Present: []byte{0b1011}, Values: []int64{121, 122, 124}},
				{Channel: livev1.Channel_CHANNEL_LAT_E7, Values: []int64{535612000, 535612310, 535612620, 535612930}},
				{Channel: livev1.Channel_CHANNEL_LON_E7, Values: []int64{97600000, 97599200, 97598400, 97597600}},
			}}}},
		"07-skip":               {Message: &livev1.ClientMessage_Skip{Skip: &livev1.Skip{StreamId: streamID, FromSeq: 5, ToSeq: 9, Reason: "battery"}}},
		"08-pause":              command(&livev1.Command{WorkoutId: workoutID, Command: &livev1.Command_Pause{Pause: &livev1.Pause{DeviceTimeMs: 1718463000000}}}),
		"09-resume":             command(&livev1.Command{WorkoutId: workoutID, Command: &livev1.Command_Resume{Resume: &livev1.Resume{DeviceTimeMs: 1718463060000}}}),
		"10-lap":                command(&livev1.Command{WorkoutId: workoutID, Command: &livev1.Command_Lap{Lap: &livev1.Lap{DeviceTimeMs: 1718463100000}}}),
		"11-ping":               {Message: &livev1.ClientMessage_Ping{Ping: &livev1.Ping{T0Ms: 1718463100500, StreamId: streamID, OffsetMs: -340, RttMs: 42}}},
		"12-subscribe":          {Message: &livev1.ClientMessage_Subscribe{Subscribe: &livev1.Subscribe{Topic: "competition/" + raceID + "/board", Cut: "top:10", Epoch: 12, Version: 480}}},
		"13-unsubscribe":        {Message: &livev1.ClientMessage_Unsubscribe{Unsubscribe: &livev1.Unsubscribe{Topic: "competition/" + raceID + "/board", Cut: "top:10"}}},
		"20-subscribe_audience": {Message: &livev1.ClientMessage_Subscribe{Subscribe: &livev1.Subscribe{Topic: "competition/" + raceID + "/positions", Cut: "audience:entrant,top:10"}}},
		"21-subscribe_inbox":    {Message: &livev1.ClientMessage_Subscribe{Subscribe: &livev1.Subscribe{Topic: "inbox", Epoch: 1, Version: 14}}},
		"14-react":              command(&livev1.Command{Command: &livev1.Command_React{React: &livev1.React{CompetitionId: raceID, Reaction: "bell", Entry: 2}}}),
		"15-leave":              command(&livev1.Command{WorkoutId: workoutID, Command: &livev1.Command_Leave{Leave: &livev1.Leave{CompetitionId: raceID}}}),
		"16-finish_workout": command(&livev1.Command{WorkoutId: workoutID, Command: &livev1.Command_FinishWorkout{FinishWorkout: &livev1.FinishWorkout{
			DeviceTimeMs: 1718466300000, Streams: []*livev1.StreamEnd{{StreamId: streamID, LastSeq: 3540}}}}}),
		"17-close_stream":   {Message: &livev1.ClientMessage_CloseStream{CloseStream: &livev1.CloseStream{StreamId: streamID, LastSeq: 3540}}},
		"18-control_result": {Message: &livev1.ClientMessage_ControlResult{ControlResult: &livev1.ControlResult{ControlId: "c1", Result: "limited"}}},
	}
}

// serverFrames is one of each message of a node.
func serverFrames() map[string]*serverFrame {
	row := &livev1.BoardRow{Entry: 2, Place: 1, GatesPassed: 3, GateAtMs: 1718464211123, ProgressMm: 8123456,
		Status: livev1.EntryStatus_ENTRY_STATUS_RACING, LatE7: 535658000, LonE7: 97000000, Heat: 1, Category: "open", PositionAtMs: 1718464300000}
	onward := proto.Clone(row).(*livev1.BoardRow)
	onward.ProgressMm, onward.LatE7, onward.PositionAtMs = 8128756, 535658470, 1718464300400
	behind := &livev1.BoardRow{Entry: 1, Place: 2, GatesPassed: 3, GateAtMs: 1718464243456, GapMs: 32333, GapMm: 141000, ProgressMm: 7982456,
		Status: livev1.EntryStatus_ENTRY_STATUS_RACING, Unconfirmed: true, OfflineSinceMs: 1718464290000, LatE7: 535657000, LonE7: 97010000, Heat: 1, Category: "open", PositionAtMs: 1718464289000}
	board := func(rows ...*livev1.BoardRow) *livev1.Board {
		return &livev1.Board{State: livev1.RaceState_RACE_STATE_RUNNING, GunAtMs: 1718462760000, AtMs: 1718464300250, CourseLengthMm: 12000000, Rows: rows, Entries: 3, Gates: 5}
	}
	topic := func(kind string) string { return "competition/" + raceID + "/" + kind }
	return map[string]*serverFrame{
		"01-welcome": {Message: &livev1.ServerMessage_Welcome{Welcome: &livev1.Welcome{
			Session: "018ff5a0-3c5d-7b6e-8f90-a1b2c3d4e5f6", ServerTimeMs: 1718462700040, ClientTimeMs: 1718462700000, Principal: "athlete:ann",
			Limits: &livev1.Limits{MaxFrameBytes: 65536, MaxSamplesPerS: 500, UnackedWindowFrames: 32, HeartbeatS: 25, MaxSubscriptions: 64}}}},
		"02-stream_opened":  {Message: &livev1.ServerMessage_StreamOpened{StreamOpened: &livev1.StreamOpened{StreamId: streamID, ThroughSeq: 120}}},
		"03-command_result": {Message: &livev1.ServerMessage_CommandResult{CommandResult: &livev1.CommandResult{CommandId: commandID, Stream: "competition/" + raceID, Version: 17, Entry: 2}}},
		"04-command_refused": {Message: &livev1.ServerMessage_CommandResult{CommandResult: &livev1.CommandResult{CommandId: commandID,
			Error: &livev1.Error{Code: "competition.not_open", Message: "The competition does not take entries."}}}},
		"05-ack": {Message: &livev1.ServerMessage_Ack{Ack: &livev1.Ack{StreamId: streamID, ThroughSeq: 4,
			Refused:  []*livev1.RefusedSample{{Seq: 3, Reason: "out_of_range"}},
			Standing: &livev1.Standing{CompetitionId: raceID, Entry: 2, Place: 2, GapAheadMs: 12400, GapBehindMs: 3100, ToGoMm: 3876544, Epoch: 12, Version: 481}}}},
		"06-snapshot_board": {Message: &livev1.ServerMessage_Snapshot{Snapshot: &livev1.Snapshot{Topic: topic("board"), Cut: "top:10", Epoch: 12, Version: 481, Sub: 7,
			Content: &livev1.Snapshot_Board{Board: board(row, behind)}}}},
		"07-delta_board": {Message: &livev1.ServerMessage_Delta{Delta: &livev1.Delta{Sub: 7, Epoch: 12, Version: 482, Base: 481,
			Content: &livev1.Delta_Board{Board: &livev1.Board{AtMs: 1718464300500, Removed: []uint32{3},
				Rows: []*livev1.BoardRow{liveboard.DeltaRow(row, onward, 1718464300500)}}}}}},
		"08-snapshot_roster": {Message: &livev1.ServerMessage_Snapshot{Snapshot: &livev1.Snapshot{Topic: topic("roster"), Epoch: 1, Version: 9, Sub: 8,
			Content: &livev1.Snapshot_Roster{Roster: &livev1.Roster{Rows: []*livev1.RosterRow{
				{Entry: 1, Name: "Ann Ahoi", Club: "SV Elbe", Flag: "DE", Category: "open", Heat: 1}, {Entry: 2, Name: "Athlete 2", Category: "open", Heat: 1}}}}}}},
		"09-snapshot_positions": {Message: &livev1.ServerMessage_Snapshot{Snapshot: &livev1.Snapshot{Topic: topic("positions"), Cut: "audience:official,top:10", Epoch: 12, Version: 481, Sub: 9,
			Content: &livev1.Snapshot_Positions{Positions: &livev1.Positions{AtMs: 1718464300250, Rows: []*livev1.PositionRow{
				{Entry: 2, ProgressMm: 8123456, LatE7: 535658000, LonE7: 97000000, AtMs: 1718464300000},
				{Entry: 1, ProgressMm: 8101000, LatE7: 535657100, LonE7: 97003100, AtMs: 1718464281000, OfflineSinceMs: 1718464282500, Unconfirmed: true}}}}}}},
		"10-delta_feed": {Message: &livev1.ServerMessage_Delta{Delta: &livev1.Delta{Topic: topic("feed"), Epoch: 1, Version: 41, Base: 38, Sub: 10,
			Content: &livev1.Delta_Feed{Feed: &livev1.Feed{Items: []*livev1.FeedItem{{Version: 41, AtMs: 1718464211500, Kind: "gate", Entry: 2, Gate: 3, GateAtMs: 1718464211123}}}}}}},
		"11-snapshot_workout": {Message: &livev1.ServerMessage_Snapshot{Snapshot: &livev1.Snapshot{Topic: "workout/" + workoutID, Epoch: 4, Version: 1099511631318, Sub: 11,
			Content: &livev1.Snapshot_Workout{Workout: &livev1.Workout{WorkoutId: workoutID, AtMs: 1718464300000, ElapsedMs: 1540000, DistanceMm: 8200000, ProgressMm: 8123456, HeartRateBpm: 141, SpeedMmS: 5300, State: "live",
				Control: &livev1.ControlState{Target: &livev1.ControlState_InclineBp{InclineBp: 250}, Result: "limited", Applied: 311, Limited: 4, AtMs: 1718464299800}}}}}},
		"12-throttle":   {Message: &livev1.ServerMessage_Throttle{Throttle: &livev1.Throttle{MaxSamplesPerS: 500, UntilMs: 1718464301250}}},
		"13-error_gap":  {Message: &livev1.ServerMessage_Error{Error: &livev1.Error{Code: "stream.gap", Message: "Samples before these are missing.", Retry: true, StreamId: streamID, ExpectedSeq: 121}}},
		"14-error_auth": {Message: &livev1.ServerMessage_Error{Error: &livev1.Error{Code: "auth.token_needed", Message: "This needs an access token.", Detail: "open_stream: role"}}},
		"15-pong":       {Message: &livev1.ServerMessage_Pong{Pong: &livev1.Pong{T0Ms: 1718463100500, T1Ms: 1718463100161, T2Ms: 1718463100161}}},
		"16-event":      {Message: &livev1.ServerMessage_Event{Event: &livev1.Event{Kind: "reaction", Text: "bell", AtMs: 1718464290000, Version: 14, CompetitionId: raceID, Entry: 2}}},
		"19-snapshot_inbox": {Message: &livev1.ServerMessage_Snapshot{Snapshot: &livev1.Snapshot{Topic: "inbox", Epoch: 1, Version: 15, Sub: 12,
			Content: &livev1.Snapshot_Inbox{Inbox: &livev1.Inbox{Items: []*livev1.Event{
				{Kind: "reaction", Text: "applause", AtMs: 1718464310000, Version: 15, CompetitionId: raceID, Entry: 2}}}}}}},
		"17-control": {Message: &livev1.ServerMessage_Control{Control: &livev1.Control{ControlId: "c1", Target: &livev1.Control_InclineBp{InclineBp: 250}, ValidUntilMs: 1718464302000, StreamId: streamID}}},
		"18-goodbye": {Message: &livev1.ServerMessage_Goodbye{Goodbye: &livev1.Goodbye{Reason: "restart", Address: "wss://race.example/live", ReconnectAfterMs: 1200}}},
	}
}

// TestCapturedFrames keeps docs/protocol/frames: the files on which every client is tested. Binary frames are exact
// bytes; of JSON the meaning counts, not the spaces.
func TestCapturedFrames(t *testing.T) {
	var want []string
	for name, m := range clientFrames() {
		want = append(want, "client-"+name)
		captured(t, "client-"+name, m)
		for _, e := range []wire.Encoding{wire.Proto, wire.JSON} {
			got, err := wire.Decode(e, wire.Encode(e, m))
			if err != nil || !proto.Equal(got, m) {
				t.Errorf("Decode(%v, client-%s) = %v, %v", e, name, got, err)
			}
		}
	}
	for name, m := range serverFrames() {
		want = append(want, "server-"+name)
		captured(t, "server-"+name, m)
		for _, e := range []wire.Encoding{wire.Proto, wire.JSON} {
			got, err := wire.DecodeServer(e, wire.Encode(e, m))
			if err != nil || !proto.Equal(got, m) {
				t.Errorf("DecodeServer(%v, server-%s) = %v, %v", e, name, got, err)
			}
		}
	}
	files, err := filepath.Glob(filepath.Join(frames, "*"))
	if err != nil || len(files) != 2*len(want) {
		t.Errorf("%d files in docs/protocol/frames, want %d: run this test with -rewrite (%v)", len(files), 2*len(want), err)
	}
}

func captured(t *testing.T, name string, m proto.Message) {
	t.Helper()
	binary, text := filepath.Join(frames, name+".bin"), filepath.Join(frames, name+".json")
	b, err := proto.MarshalOptions{Deterministic: true}.Marshal(m)
	if err != nil {
		t.Fatal(err)
	}
	var j bytes.Buffer
	if err := json.Indent(&j, wire.Encode(wire.JSON, m), "", "  "); err != nil {
		t.Fatal(err)
	}
	j.WriteByte('\n')
	if *rewrite {
		for path, content := range map[string][]byte{binary: b, text: j.Bytes()} {
			if err := os.WriteFile(path, content, 0o644); err != nil {
				t.Fatal(err)
			}
		}
		return
	}
	got, err := os.ReadFile(binary)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(got, b) {
		t.Errorf("%s.bin is not what the message encodes to: run with -rewrite and look at the difference", name)
	}
	if !bytes.Equal(wire.Encode(wire.Proto, m), b) {
		t.Errorf("Encode(%s) is not the captured frame", name)
	}
	text2, err := os.ReadFile(text)
	if err != nil {
		t.Fatal(err)
	}
	var was, is any
	if json.Unmarshal(text2, &was) != nil || json.Unmarshal(j.Bytes(), &is) != nil {
		t.Fatalf("%s.json is not JSON", name)
	}
	a, _ := json.Marshal(was)
	c, _ := json.Marshal(is)
	if !bytes.Equal(a, c) {
		t.Errorf("%s.json = %s, want %s", name, a, c)
	}
}

// TestEveryMessageIsCaptured: a message without an example is not documented.
func TestEveryMessageIsCaptured(t *testing.T) {
	have := map[string]bool{}
	for _, m := range clientFrames() {
		have[string(m.ProtoReflect().WhichOneof(m.ProtoReflect().Descriptor().Oneofs().Get(0)).Name())] = true
		if c := m.GetCommand(); c != nil {
			r := c.ProtoReflect()
			have[string(r.WhichOneof(r.Descriptor().Oneofs().Get(0)).Name())] = true
		}
	}
	for _, m := range serverFrames() {
		have[string(m.ProtoReflect().WhichOneof(m.ProtoReflect().Descriptor().Oneofs().Get(0)).Name())] = true
	}
	for _, d := range []proto.Message{&clientFrame{}, &serverFrame{}, &livev1.Command{}} {
		fields := d.ProtoReflect().Descriptor().Oneofs().Get(0).Fields()
		for i := range fields.Len() {
			if name := string(fields.Get(i).Name()); !have[name] {
				t.Errorf("no captured frame of %s", name)
			}
		}
	}
	doc, err := os.ReadFile("../../docs/protocol.md")
	if err != nil {
		t.Fatal(err)
	}
	for name := range have {
		if !strings.Contains(string(doc), "`"+name) {
			t.Errorf("docs/protocol.md does not speak of `%s`", name)
		}
	}
	for _, c := range wire.CloseCodes() {
		if !strings.Contains(string(doc), "`"+c.String()+"`") {
			t.Errorf("docs/protocol.md does not speak of close code `%v`", c)
		}
	}
}
