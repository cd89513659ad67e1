package licence

import (
	"testing"
	"time"

	"hufu/configs"
)

type (
	noStore    struct{ Store }
	noRegistry struct{ Registry }
	noSeals    struct{ Seals }
)

func clock() time.Time { return time.Date(2026, 9, 1, 8, 0, 0, 0, time.UTC) }

func TestAServiceIsWholeOrNot(t *testing.T) {
	types, err := ParseCatalogue(configs.Files, "licences")
	if err != nil {
		t.Fatal(err)
	}
	whole := Config{Store: noStore{}, Catalogue: types, Registry: noRegistry{}, Seals: noSeals{}, VerifyURL: "http://localhost/verify", Now: clock}
	if _, err := New(whole); err != nil {
		t.Fatal(err)
	}
	for name, cut := range map[string]func(*Config){
		"store": func(c *Config) { c.Store = nil }, "catalogue": func(c *Config) { c.Catalogue = nil }, "registry": func(c *Config) { c.Registry = nil },
		"seals": func(c *Config) { c.Seals = nil }, "clock": func(c *Config) { c.Now = nil }, "URL": func(c *Config) { c.VerifyURL = "verify" },
		"URL with query": func(c *Config) { c.VerifyURL = "http://x/?a=b" },
	} {
		c := whole
		cut(&c)
		if _, err := New(c); err == nil {
			t.Errorf("a service without %s", name)
		}
	}
}
