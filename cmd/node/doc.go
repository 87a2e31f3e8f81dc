// Command paceline is the one program of the project: it serves (run), and does what an operator needs beside it.
//
// It is the only place that knows all concrete types and puts them together; it holds no rule of the sport and no
// protocol. What it starts it stops, in the opposite order.
package main
