package link

import "time"

// Config of a Link. Times are wall time, sizes are bytes of encoded messages.
type Config struct {
	// HubQueue bounds the messages that wait for this node's hub: about two ticks of a few hundred topics.
	HubQueue int
	// Collect is how long a parcel is collected while another one is under way. Longer makes fewer and larger
	// parcels, and all of it is added to a frame's way.
	Collect time.Duration
	// ParcelBytes is how much goes into one parcel; a single larger message goes alone.
	ParcelBytes int
	// Window is how many parcels may be under way to one member.
	Window int
	// PeerBytes bounds what waits for one member, beside what is under way. Asks beyond it are refused, and so felt
	// at the socket; of updates the topic is resynced.
	PeerBytes int
	// Probe is how long nothing may be heard of parcels under way before one more is sent, to learn what was lost.
	Probe time.Duration
}

// Default is right for a local network. What one member can cost is PeerBytes + Window * ParcelBytes: 12 MiB.
func Default() Config {
	return Config{
		HubQueue:    1024,
		Collect:     5 * time.Millisecond,
		ParcelBytes: 128 << 10,
		Window:      64,
		PeerBytes:   4 << 20,
		Probe:       500 * time.Millisecond,
	}
}
