package configs

import "embed"

// Files holds the folders of this package: profiles/, licences/, hsm/.
//
//go:embed profiles licences hsm
var Files embed.FS
