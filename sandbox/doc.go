// Package sandbox simulates what stands outside Hufu, for the demonstration, the
// tests and integrators: it is never part of a production way.
//
// Forge plays the forger: it changes what a licence says on its page, as someone
// with a ZIP program and a text editor would, and leaves everything else alone.
// The simulators of registries, face service, SMS and upstream providers come
// with the parts that ask them.
package sandbox
