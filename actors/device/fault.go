package device

import "paceline/domain/fault"

// What the rules refuse.
var (
	ErrRegistered    = fault.New(fault.Conflict, "device.registered", "This device is registered already, with other particulars.")
	ErrNotRegistered = fault.New(fault.NotFound, "device.not_registered", "This device is not registered.")
	ErrAffinity      = fault.New(fault.Invalid, "device.affinity", "A device's id begins with its owner's id; a shared one's with its own.")
	ErrText          = fault.New(fault.Invalid, "device.text", "A name or reason is at most 120 bytes of UTF-8.")
	ErrClaimed       = fault.New(fault.Conflict, "device.claimed", "Somebody else rides this device.")
	ErrClaimOver     = fault.New(fault.Invalid, "device.claim_over", "The claim ends before it begins.")
	ErrNotYours      = fault.New(fault.Denied, "device.not_yours", "This device is neither yours nor claimed by you.")
	ErrTooMany       = fault.New(fault.Exhausted, "device.too_many_streams", "Too many streams of this device are not recorded yet.")

	ErrUnknownStream = fault.New(fault.NotFound, "stream.unknown", "This device has no such stream.")
	ErrDiffers       = fault.New(fault.Conflict, "stream.differs", "This stream was opened with another workout, person, clock, sport or channels.")
	ErrSport         = fault.New(fault.Invalid, "stream.sport", "A stream's sport is one of run, ride, row, walk, ski, swim, sail and other.")
	ErrControl       = fault.New(fault.Invalid, "stream.control", "The equipment cannot be set within what it offers.")
	ErrChannels      = fault.New(fault.Invalid, "stream.channels", "A stream declares 1 to 14 known channels, each once.")
	ErrDeviceTime    = fault.New(fault.Invalid, "stream.device_time", "The opening reading of the device's clock cannot be.")
	ErrClosed        = fault.New(fault.Conflict, "stream.closed", "This stream is closed before that seq.")
	ErrCloseBelow    = fault.New(fault.Conflict, "stream.close_below", "Samples above that last_seq are stored already.")
	ErrSeq           = fault.New(fault.Invalid, "stream.seq", "Seqs start at 1 and end far below 2^62.")
	ErrSkipFar       = fault.New(fault.Invalid, "stream.skip_far", "A skip is at most 1,000,000 seqs long and begins no further ahead.")
	ErrClock         = fault.New(fault.Invalid, "clock.implausible", "The device's clock is more than 24 hours away.")
	ErrRecording     = fault.New(fault.Conflict, "device.recording_stale", "The recording does not fit what the device's journal says.")
	ErrLimits        = fault.Later("stream.limits_unknown", "This node is too old for the stream; try another one.")
)
