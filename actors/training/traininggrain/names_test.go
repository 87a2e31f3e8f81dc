package traininggrain

import (
	devicev1 "paceline/api/gen/paceline/device/v1"
	"paceline/persistence"
)

type recordedMsg = *devicev1.Recorded

const tableSnapshot = persistence.TableSnapshot
