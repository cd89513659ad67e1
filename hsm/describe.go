package hsm

import "context"

// Fact is one line that a device tells its operator about itself, such as {"serial", "0017"}.
type Fact = struct{ Name, Value string }

// Described is what a device may offer besides: what it is and how it is used, in the order of telling. Nothing secret is
// among it; what cannot be asked for now is left out.
type Described interface {
	Describe(ctx context.Context) []Fact
}
