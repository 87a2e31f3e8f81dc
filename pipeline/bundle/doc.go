// Package bundle exports everything that a published result can be recomputed from, and recomputes it.
//
// A bundle is one zip, every byte of which counts: manifest.json (names, sizes and SHA-256 of all other files), course.json and result.json for
// people, journal/<kind>/<id>.pb (events), samples/<device>/<stream>.pb (recordings up to the floor, rows above). It
// holds people's telemetry: it is for officials, not for publication.
//
// Verify trusts nothing in it but the digests of its samples in the published result: it replays the competition's
// journal, folds the samples with the facts that the input names, compares every digest, gate, time and place, and
// says for each entry: verified, differs (what), or erased (digest only). It is not the oracle: simulations/audit
// takes the same bundle apart for that.
package bundle
