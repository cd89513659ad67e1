// Package configs carries the data that Hufu ships: certificate profiles,
// licence types, vendor dialects of devices and examples. They are files, so
// that an operator can read, copy and change them; the embedded ones are the
// defaults.
package configs
