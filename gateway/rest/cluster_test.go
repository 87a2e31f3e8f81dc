package rest_test

import (
	"context"

	managev1 "paceline/api/gen/paceline/manage/v1"
	"paceline/domain/fault"
	"paceline/domain/id"
)

// operating is a cluster that nothing happens to.
type operating struct{}

func (operating) Status(_ context.Context, owned *id.Grain) (*managev1.GetClusterStatusResponse, error) {
	s := &managev1.GetClusterStatusResponse{}
	if owned != nil {
		s.Owner = &managev1.GrainOwner{Grain: owned.Identity()}
	}
	return s, nil
}

func (operating) Raise(_ context.Context, to uint32) (*managev1.RaiseLevelResponse, error) {
	if to == 9 {
		return nil, fault.New(fault.Conflict, "level.members", "Not every member can read that feature level.")
	}
	return &managev1.RaiseLevelResponse{}, nil
}
