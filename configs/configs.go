package configs

import "embed"

// Files holds the folders of this package: profiles/, licences/.
//
//go:embed profiles licences
var Files embed.FS
