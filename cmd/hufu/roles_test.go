package main

import "testing"

func TestRolesAreAListOfParts(t *testing.T) {
	here, elsewhere := Config{}, Config{KMC: KMC{URL: "https://kmc.example:8485"}}
	alone := Config{TLS: TLS{Certificate: "c", Key: "k"}, KMC: KMC{Clients: []KMCClient{{"east", "east.pem"}}}}
	const rest = "ca,ra,ocsp,tsa,oidc,seal,licence,portal,console"
	for _, c := range []struct {
		text string
		cfg  Config
		want roles
	}{
		{"", here, rolesAll},
		{"all", here, rolesAll},
		{"kmc, " + rest, here, rolesAll},
		{"all-but-kmc,kmc", here, rolesAll},
		{"", elsewhere, rolesButKMC},
		{"all-but-kmc", elsewhere, rolesButKMC},
		{rest, elsewhere, rolesButKMC},
		{"kmc", alone, rolesKMC},
		{"all", elsewhere, ""},
		{rest, here, ""},
		{"kmc", elsewhere, ""},
		{"kmc", here, ""},
		{"ca", here, ""},
		{"oidc,portal", elsewhere, ""},
		{"everything", here, ""},
		{",", here, ""},
	} {
		got, err := rolesOf(c.text, c.cfg)
		if got != c.want || (err != nil) != (c.want == "") {
			t.Errorf("roles %q, kmc.url %q: %q, %v; want %q", c.text, c.cfg.KMC.URL, got, err, c.want)
		}
	}
}
