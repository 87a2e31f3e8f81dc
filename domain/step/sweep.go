package step

// Sweep asks a shell that nobody has used for a while whether it may end: it answers with Stop, or goes on.
// Drain says that it must end: nothing new arrives any more, so it stops as soon as what it holds is answered.
type Sweep struct{ Drain bool }
