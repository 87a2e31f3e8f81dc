package rest

import (
	"context"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"connectrpc.com/connect"
	"google.golang.org/protobuf/proto"

	competitionv1 "paceline/api/gen/paceline/competition/v1"
	managev1 "paceline/api/gen/paceline/manage/v1"
	"paceline/domain/fault"
	"paceline/domain/id"
	"paceline/gateway/auth"
	"paceline/gateway/wire"
	"paceline/persistence/view"
)

type competitions struct{ *api }

var errNoResult = fault.New(fault.NotFound, "competition.no_result", "There is no such result.")

// may decides about an existing competition.
func (c competitions) may(ctx context.Context, op auth.Operation, competition, person string) error {
	r, err := c.Races.Competition(ctx, competition, principal(ctx))
	if err != nil {
		return err
	}
	r.Person = person
	return auth.Check(principal(ctx), op, r)
}

// CreateCompetition implements managev1.CompetitionServiceHandler.
func (c competitions) CreateCompetition(ctx context.Context, r *connect.Request[managev1.CreateCompetitionRequest]) (*connect.Response[managev1.CreateCompetitionResponse], error) {
	def := r.Msg.Definition
	if def == nil {
		return nil, errMissing.With("definition")
	}
	if def.OrganizationId == "" {
		def.OrganizationId = id.DefaultOrganization
	}
	if err := auth.Check(principal(ctx), auth.CreateCompetition, auth.Resource{Organization: def.OrganizationId}); err != nil {
		return nil, err
	}
	name := r.Msg.CompetitionId
	if name == "" {
		name = c.NewID()
	} else if err := id.Check(name); err != nil {
		return nil, err
	}
	call, err := c.call(ctx, r.Msg.CommandId)
	if err != nil {
		return nil, err
	}
	create := &competitionv1.Command{Call: call, Command: &competitionv1.Command_Create{Create: def}}
	done, err := ask[*competitionv1.CommandDone](ctx, c.api, id.Of(id.Competition, name), create)
	if err != nil {
		return nil, err
	}
	return connect.NewResponse(&managev1.CreateCompetitionResponse{CompetitionId: name, Version: done.Version}), nil
}

// GetCompetition implements managev1.CompetitionServiceHandler.
func (c competitions) GetCompetition(ctx context.Context, r *connect.Request[managev1.GetCompetitionRequest]) (*connect.Response[managev1.GetCompetitionResponse], error) {
	if err := c.may(ctx, auth.ReadCompetition, r.Msg.CompetitionId, ""); err != nil {
		return nil, err
	}
	get := &competitionv1.Get{}
	if token := r.Msg.PageToken; token != "" {
		after, err := strconv.ParseUint(token, 10, 32)
		if err != nil {
			return nil, view.ErrPageToken
		}
		get.AfterEntry = uint32(after)
	}
	state, err := ask[*competitionv1.State](ctx, c.api, id.Of(id.Competition, r.Msg.CompetitionId), get)
	if err != nil {
		return nil, err
	}
	answer := &managev1.GetCompetitionResponse{Competition: redact(state, principal(ctx))}
	if n := len(state.Entries); state.MoreEntries && n > 0 {
		answer.NextPageToken = strconv.FormatUint(uint64(state.Entries[n-1].Entry), 10)
	}
	return connect.NewResponse(answer), nil
}

// redact leaves out who the entries are for everybody but officials and the person itself: names are the roster's.
func redact(s *competitionv1.State, p auth.Principal) *competitionv1.State {
	if p.Role == auth.Operator {
		return s
	}
	s = proto.CloneOf(s)
	for _, e := range s.Entries {
		if e.UserId != p.Person() || e.UserId == "" {
			e.UserId, e.Training, e.ReviewReason = "", "", ""
		}
	}
	s.Result = redactResult(s.Result, p)
	return s
}

// redactResult leaves out what names a person's workouts and devices.
func redactResult(r *competitionv1.ResultPublished, p auth.Principal) *competitionv1.ResultPublished {
	if r == nil || p.Role == auth.Operator {
		return r
	}
	r = proto.CloneOf(r)
	r.Input = nil
	return r
}

// ListCompetitions implements managev1.CompetitionServiceHandler.
func (c competitions) ListCompetitions(ctx context.Context, r *connect.Request[managev1.ListCompetitionsRequest]) (*connect.Response[managev1.ListCompetitionsResponse], error) {
	p := principal(ctx)
	organization := r.Msg.OrganizationId
	if organization == "" {
		organization = id.DefaultOrganization
	}
	if err := auth.Check(p, auth.ListCompetitions, auth.Resource{Organization: organization}); err != nil {
		return nil, err
	}
	if err := c.atLeast(ctx, r.Msg); err != nil {
		return nil, err
	}
	page, next, err := c.Views.Competitions(ctx, view.CompetitionQuery{
		OrganizationID: organization, PageToken: r.Msg.PageToken, PageSize: int(min(r.Msg.PageSize, 500))})
	if err != nil {
		return nil, fmt.Errorf("list competitions of %s: %w", organization, err)
	}
	answer := &managev1.ListCompetitionsResponse{NextPageToken: next}
	for i := range page {
		race := &page[i]
		read := auth.Resource{Public: race.Public, Organization: race.OrganizationID}
		if !auth.Decide(p, auth.ReadCompetition, read).Allow {
			continue
		}
		answer.Competitions = append(answer.Competitions, &managev1.CompetitionSummary{
			CompetitionId: race.ID, Name: race.Name, Sport: race.Sport, State: race.State,
			ScheduledAtMs: int64(race.ScheduledAt), Entries: race.Entries, Public: race.Public})
	}
	return connect.NewResponse(answer), nil
}

// operation is what a command needs permission for, and about whose data it is.
func operation(c *competitionv1.Command) (op auth.Operation, person string, err error) {
	switch v := c.GetCommand().(type) {
	case *competitionv1.Command_AddEntry:
		return auth.AddEntry, v.AddEntry.GetUserId(), nil
	case *competitionv1.Command_Withdraw:
		return auth.WithdrawEntry, "", nil
	case *competitionv1.Command_Leave:
		return auth.LeaveCompetition, v.Leave.GetUserId(), nil
	case *competitionv1.Command_Lock:
		return auth.LockStartList, "", nil
	case *competitionv1.Command_Join:
		return auth.JoinCompetition, v.Join.GetUserId(), nil
	case *competitionv1.Command_Ready:
		return auth.BeReady, v.Ready.GetUserId(), nil
	case *competitionv1.Command_Start:
		return auth.StartRace, "", nil
	case *competitionv1.Command_Decide:
		return auth.DecideEntry, "", nil
	case *competitionv1.Command_Penalty:
		return auth.PenalizeEntry, "", nil
	case *competitionv1.Command_Provisional:
		return auth.PublishProvisional, "", nil
	case *competitionv1.Command_Official:
		return auth.MakeOfficial, "", nil
	case *competitionv1.Command_Correct:
		return auth.CorrectResult, "", nil
	case *competitionv1.Command_Cancel:
		return auth.CancelCompetition, "", nil
	}
	return 0, "", wire.ErrUnknownMessage
}

// Command implements managev1.CompetitionServiceHandler.
func (c competitions) Command(ctx context.Context, r *connect.Request[managev1.CommandRequest]) (*connect.Response[managev1.CommandResponse], error) {
	op, person, err := operation(r.Msg.Command)
	if err != nil {
		return nil, err
	}
	if err := c.may(ctx, op, r.Msg.CompetitionId, person); err != nil {
		return nil, err
	}
	command := r.Msg.Command
	if command.Call, err = c.call(ctx, command.Call.GetCommandId()); err != nil {
		return nil, err
	}
	done, err := ask[*competitionv1.CommandDone](ctx, c.api, id.Of(id.Competition, r.Msg.CompetitionId), command)
	if err != nil {
		return nil, err
	}
	return connect.NewResponse(&managev1.CommandResponse{Done: done}), nil
}

// GetResult implements managev1.CompetitionServiceHandler.
func (c competitions) GetResult(ctx context.Context, r *connect.Request[managev1.GetResultRequest]) (*connect.Response[managev1.GetResultResponse], error) {
	if err := c.may(ctx, auth.ReadResult, r.Msg.CompetitionId, ""); err != nil {
		return nil, err
	}
	if err := c.atLeast(ctx, r.Msg); err != nil {
		return nil, err
	}
	version, part, err := resultPage(r.Msg.Version, r.Msg.PageToken)
	if err != nil {
		return nil, err
	}
	result, err := c.result(ctx, r.Msg.CompetitionId, version, part)
	if err != nil {
		return nil, err
	}
	answer := &managev1.GetResultResponse{Result: redactResult(result, principal(ctx))}
	if part = max(part, 1); part < result.Parts {
		answer.NextPageToken = fmt.Sprintf("%d.%d", result.Version, part+1)
	}
	return connect.NewResponse(answer), nil
}

// resultPage is the version and the part that a request asks for; part 0: no page in particular.
func resultPage(version uint32, token string) (of, part uint32, err error) {
	if token == "" {
		return version, 0, nil
	}
	v, p, _ := strings.Cut(token, ".")
	ofVersion, err1 := strconv.ParseUint(v, 10, 32)
	thePart, err2 := strconv.ParseUint(p, 10, 32)
	if err1 != nil || err2 != nil || ofVersion == 0 || thePart == 0 {
		return 0, 0, view.ErrPageToken
	}
	return uint32(ofVersion), uint32(thePart), nil
}

// result reads a version of a result, or one page of it if it is in parts.
func (c competitions) result(ctx context.Context, competition string, version, part uint32) (*competitionv1.ResultPublished, error) {
	result := &competitionv1.ResultPublished{}
	if part == 0 {
		found, ok, err := c.Views.Result(ctx, competition, version)
		if err != nil {
			return nil, fmt.Errorf("result of %s: %w", competition, err)
		}
		if !ok {
			return nil, errNoResult
		}
		if err := proto.Unmarshal(found.Bytes, result); err != nil {
			return nil, fmt.Errorf("result of %s: %w", competition, err)
		}
		if result.Parts == 0 {
			return result, nil
		}
		version, part = result.Version, 1
	}
	page, ok, err := c.Views.ResultPart(ctx, competition, version, part)
	if err != nil {
		return nil, fmt.Errorf("part %d of the result of %s: %w", part, competition, err)
	}
	if !ok {
		return nil, errNoResult
	}
	result = &competitionv1.ResultPublished{}
	if err := proto.Unmarshal(page, result); err != nil {
		return nil, fmt.Errorf("part %d of the result of %s: %w", part, competition, err)
	}
	return result, nil
}

// chunkBytes is how much of a bundle goes into one message.
const chunkBytes = 64 << 10

// ExportBundle implements managev1.CompetitionServiceHandler.
func (c competitions) ExportBundle(ctx context.Context, r *connect.Request[managev1.ExportBundleRequest], s *connect.ServerStream[managev1.ExportBundleResponse]) error {
	if err := c.may(ctx, auth.ExportBundle, r.Msg.CompetitionId, ""); err != nil {
		return err
	}
	return c.Export.Export(ctx, r.Msg.CompetitionId, chunks{s})
}

// chunks sends what is written, in pieces.
type chunks struct {
	stream *connect.ServerStream[managev1.ExportBundleResponse]
}

func (c chunks) Write(b []byte) (int, error) {
	for piece := range slices.Chunk(b, chunkBytes) {
		if err := c.stream.Send(&managev1.ExportBundleResponse{Chunk: piece}); err != nil {
			return 0, fmt.Errorf("send a piece of the bundle: %w", err)
		}
	}
	return len(b), nil
}
