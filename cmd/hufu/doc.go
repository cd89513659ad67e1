// Command hufu is the server and the tool of its operators: serve, demo, init,
// migrate, check-config, doctor, audit verify, witness.
//
// main.go lists the commands. config.go is the configuration, its field comments
// the manual. server.go is one struct, Open, Run, Close; the files open_*.go wire
// one floor of the house each, wire.go holds the small adapters by which pillars
// that do not know each other meet, and workers.go what runs by itself.
package main
