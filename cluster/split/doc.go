// Package split is the rule by which a member decides who serves when it no longer sees the others: pure, without a
// clock or I/O. What it decides is never needed for safety (each append is a compare-and-set); it only keeps two halves
// of a cluster from fencing each other for as long as they do not see each other, and lets a lone survivor go on.
//
// A member that still sees more than half of those who served last goes on. One that does not looks at the rows that
// members renew in the store every second: rows that do not move any more are dead members', and it goes on, however
// few remain; rows that move are alive but cut off, and the smaller side (of equal ones the side without the smallest
// id) steps down. It begins anew when it sees the others again, or when their rows stand still.
//
// A member that gossip still has, but that does not answer it, and whose row stands still while this one's moves, counts
// as not seen: of three members of which two die at once nobody is left to confirm what gossip suspects.
//
// Times are milliseconds of the member's own clock; rows are compared with it by when they were seen to move, never by
// what another clock wrote into them.
package split
