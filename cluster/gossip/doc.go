// Package gossip tells which members of a cluster a node sees: hashicorp/memberlist, with the settings that were tried
// for a node whose false failure is dear, and nothing of Proto.Actor.
//
// What it says is an opinion, never a promise: two nodes can disagree for seconds, in a split for as long as it lasts.
// Who serves follows from it together with the members' rows in the store (cluster/split); what is written is safe
// either way, because every append is a compare-and-set.
//
// Invariants:
//   - A member is one run of a process, named by its actor system's id. Of two runs with one address the newer is seen.
//   - What is seen is complete, and told by one goroutine, newest last.
//   - A run that has left or was declared dead and comes back is seen again under its id; it is for the cluster to say
//     that such a run has to begin anew.
//   - Gossip is encrypted if there is a key; members of another cluster's name or key are strangers: not seen, counted,
//     and told of once a minute. What they can cost has a bound: 64 streams at once, 1 MiB read of each.
//   - Whoever cannot join somebody who is there knows why (Refused), as far as the other side says.
package gossip
