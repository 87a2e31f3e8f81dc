// Package rest is the management API (Connect, gRPC, gRPC-Web and JSON from one declaration), health, and the
// node's pages.
//
// It is not the live protocol (gateway/ws), which it only mounts, and it holds no state: commands go to grains,
// lists come from the views. Every RPC passes auth.Check before anything is asked of a grain.
package rest
