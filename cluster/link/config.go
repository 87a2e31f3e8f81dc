package link

import "time"

// Config of a Link. Times are wall time, sizes are bytes of encoded messages.
type Config struct {
	// HubQueue and HubBytes bound the messages that wait for this node's hub: about two ticks of a few hundred topics.
	// A quarter of both is kept for notices to sessions.
	HubQueue, HubBytes int
	// Collect is the shortest time between two parcels with something in them to one member, unless one is full. What
	// comes alone goes at once; what comes in a crowd travels together. Longer makes fewer and larger parcels, and up to
	// all of it is added to the way of a message in a crowd.
	Collect time.Duration
	// Credit is how long the news that parcels were taken may wait for a parcel that goes that way anyway. Longer makes
	// fewer parcels with nothing in them, and needs a larger window for the same throughput.
	Credit time.Duration
	// ParcelBytes is how much goes into one parcel; a single larger message goes alone.
	ParcelBytes int
	// Window and WindowBytes are how many parcels, and how much in them, may be under way to one member: sent, and not
	// yet known to be taken off the wire.
	Window, WindowBytes int
	// PeerBytes bounds what waits for one member, beside what is under way. Asks beyond it are refused, and so felt
	// at the socket; of updates the topic is resynced. Answers may take as much again, because each lets the other side
	// forget something; beyond that they are left out, and the asker asks again.
	PeerBytes int
	// Probe is how long nothing may be heard of parcels under way before one more with nothing in it is sent, to learn
	// what was lost.
	Probe time.Duration
}

// Default is right for a local network.
func Default() Config {
	return Config{
		HubQueue:    1024,
		HubBytes:    16 << 20,
		Collect:     5 * time.Millisecond,
		Credit:      20 * time.Millisecond,
		ParcelBytes: 128 << 10,
		Window:      64,
		WindowBytes: 4 << 20,
		PeerBytes:   4 << 20,
		Probe:       500 * time.Millisecond,
	}
}

// PeerMost is what one member can cost in memory whatever it does, 12 MiB by default, beside two messages that are
// larger than a parcel.
func (c Config) PeerMost() int { return 2*c.PeerBytes + c.WindowBytes }
