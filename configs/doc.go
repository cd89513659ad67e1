// Package configs carries the data that Hufu ships: certificate profiles,
// licence types and examples. They are files, so that an operator can read
// them, copy them and change them; the embedded ones are the defaults.
package configs
