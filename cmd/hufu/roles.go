package main

import (
	"slices"
	"strings"

	"hufu/internal/fault"
)

// roles say which parts of the program a process serves.
type roles string

const (
	rolesAll    roles = "all"
	rolesKMC    roles = "kmc"         // the key management centre alone
	rolesButKMC roles = "all-but-kmc" // all the rest; the centre is elsewhere
)

// roleNames are the parts, for those who write them out.
var roleNames = []string{"ca", "ra", "kmc", "ocsp", "tsa", "oidc", "seal", "licence", "portal", "console"}

var errRoles = fault.New(fault.Invalid, "roles",
	"Roles are all, kmc or all-but-kmc, or the names ca,ra,ocsp,tsa,oidc,seal,licence,portal,console together, with or without kmc. Without kmc, kmc.url in the configuration says where it is.",
	"角色可为 all、kmc、all-but-kmc，或同时列出 ca,ra,ocsp,tsa,oidc,seal,licence,portal,console（可加 kmc）。不含 kmc 时，须在配置中用 kmc.url 指明其地址。")

// rolesOf reads --roles; empty is all that the configuration has here.
func rolesOf(text string, cfg Config) (roles, error) {
	r, err := parseRoles(text, cfg)
	if err != nil {
		return "", err
	}
	elsewhere := cfg.KMC.URL != ""
	if (r == rolesButKMC) != elsewhere {
		return "", errRoles.With("roles %q with kmc.url %q", r, cfg.KMC.URL)
	}
	if r == rolesAll && len(cfg.KMC.Clients) > 0 {
		return "", errRoles.With("kmc.clients are served by --roles kmc alone")
	}
	if r == rolesKMC {
		err = cfg.KMC.checkAlone(cfg)
	}
	if err != nil {
		return "", err
	}
	return r, nil
}

func parseRoles(text string, cfg Config) (roles, error) {
	switch {
	case text == "" && cfg.KMC.URL != "":
		return rolesButKMC, nil
	case text == "":
		return rolesAll, nil
	}
	named := map[string]bool{}
	for _, name := range strings.Split(text, ",") {
		switch name = strings.TrimSpace(name); {
		case name == string(rolesAll), name == string(rolesButKMC):
			for _, one := range roleNames {
				if name == string(rolesAll) || one != "kmc" {
					named[one] = true
				}
			}
		case slices.Contains(roleNames, name):
			named[name] = true
		default:
			return "", errRoles.With("role %q", name)
		}
	}
	switch {
	case len(named) == len(roleNames):
		return rolesAll, nil
	case len(named) == 1 && named["kmc"]:
		return rolesKMC, nil
	case len(named) == len(roleNames)-1 && !named["kmc"]:
		return rolesButKMC, nil
	}
	return "", errRoles.With("roles %q", text)
}
