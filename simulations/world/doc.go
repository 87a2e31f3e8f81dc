// Package world runs the node's own step objects (device, training, competition, session, hub, wake-up sweeper)
// on one thread and a virtual clock, with every misfortune that a seed draws: messages delayed, lost, doubled and
// reordered; store outcomes lost and writes that apply late; activations and nodes killed between any two
// outs; grains passivated; two activations of one grain; clients that resend re-cut batches through another
// gateway.
//
// It holds no copy of the protocol: what it runs is what a node runs. The published result of a disturbed run
// must equal that of the same seed undisturbed, and everything must finish without a client's help beyond
// resending.
package world
