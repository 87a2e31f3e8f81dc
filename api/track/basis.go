package track

import (
	competitionv1 "paceline/api/gen/paceline/competition/v1"
	trainingv1 "paceline/api/gen/paceline/training/v1"
	"paceline/domain/basis"
)

// streamBasis is what the messages of both packages offer.
type streamBasis interface {
	GetDevice() string
	GetStreamId() string
	GetFoldedThrough() uint64
	GetFactsVersion() uint64
}

// BasisFrom reads a basis, from messages of either package, in any order.
func BasisFrom[M streamBasis](streams []M) basis.Basis {
	all := make([]basis.StreamBasis, len(streams))
	for i, s := range streams {
		all[i] = basis.StreamBasis{Device: s.GetDevice(), Stream: s.GetStreamId(), FoldedThrough: s.GetFoldedThrough(), FactsVersion: s.GetFactsVersion()}
	}
	return basis.Of(all...)
}

// TrainingBasis is a basis as trainings say it.
func TrainingBasis(b basis.Basis) []*trainingv1.StreamBasis {
	out := make([]*trainingv1.StreamBasis, len(b))
	for i, s := range b {
		out[i] = &trainingv1.StreamBasis{Device: s.Device, StreamId: s.Stream, FoldedThrough: s.FoldedThrough, FactsVersion: s.FactsVersion}
	}
	return out
}

// CompetitionBasis is a basis as competitions say it.
func CompetitionBasis(b basis.Basis) []*competitionv1.StreamBasis {
	out := make([]*competitionv1.StreamBasis, len(b))
	for i, s := range b {
		out[i] = &competitionv1.StreamBasis{Device: s.Device, StreamId: s.Stream, FoldedThrough: s.FoldedThrough, FactsVersion: s.FactsVersion}
	}
	return out
}
