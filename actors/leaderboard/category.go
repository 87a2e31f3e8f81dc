package leaderboard

import (
	"slices"

	"paceline/domain/fault"
)

// MaxCategories is how many cuts a competition may declare: each may be somebody's view, and there are no free
// filters.
const MaxCategories = 64

// maxCategoryBytes bounds a category's name.
const maxCategoryBytes = 32

// ErrCategories is the answer to a list of categories that a board cannot have.
var ErrCategories = fault.New(fault.Invalid, "leaderboard.categories", "A board has at most 64 categories, each with a name of its own of 1 to 32 bytes.")

// CheckCategories checks a declared list.
func CheckCategories(names []string) error {
	if len(names) > MaxCategories {
		return ErrCategories.With("%d categories", len(names))
	}
	for i, n := range names {
		if n == "" || len(n) > maxCategoryBytes || slices.Contains(names[:i], n) {
			return ErrCategories.With("%q", n)
		}
	}
	return nil
}
