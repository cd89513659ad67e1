package api

import (
	"cmp"
	"context"
	"slices"

	"hufu/ca"
	"hufu/internal/actor"
)

func (a *API) profileRoutes() []route {
	return []route{
		{"GET /api/v1/profiles", anyone, text("列出可申请的证书模板", "List the profiles that can be applied for"), on(a.listProfiles)},
	}
}

type profileView struct {
	Name     string       `json:"name"`
	Version  int          `json:"version"`
	Title    titleView    `json:"title"`
	Holder   string       `json:"holder" enum:"person,entity,official"`
	Apply    []string     `json:"apply" doc:"Who may apply: holder, or roles"`
	Officers int          `json:"officers" doc:"How many officers must approve; 0 is automatic"`
	FreeFrom int          `json:"free_from_level,omitempty" doc:"Identity level of the holder from which approval is automatic"`
	Keys     []string     `json:"keys" doc:"Kinds of keys that the request may have"`
	Days     int          `json:"days" doc:"Validity"`
	Pair     string       `json:"pair,omitempty" doc:"Profile of the encryption certificate that comes with it"`
	Fields   []fieldsView `json:"fields,omitempty" doc:"Facts that the applicant states"`
}

type titleView struct {
	ZH string `json:"zh"`
	EN string `json:"en"`
}

type fieldsView struct {
	Name    string `json:"name"`
	Pattern string `json:"pattern"`
}

// listProfiles lists the profiles that subjects may apply for; those of authorities and of the system's own services are the
// operator's business.
func (a *API) listProfiles(context.Context, actor.Actor, *struct{}) (*body[page[profileView]], error) {
	out := &body[page[profileView]]{page[profileView]{Items: []profileView{}}}
	for _, p := range a.CA.ProfilesInForce() {
		if p.KeyFrom != "kmc" && !slices.Equal(p.Apply, []string{ca.ApplyBySystem}) {
			out.Body.Items = append(out.Body.Items, viewProfile(p))
		}
	}
	slices.SortFunc(out.Body.Items, func(x, y profileView) int { return cmp.Compare(x.Name, y.Name) })
	return out, nil
}

func viewProfile(p *ca.Profile) profileView {
	v := profileView{
		Name: p.Name, Version: p.Version, Title: titleView{p.Title.ZH, p.Title.EN}, Holder: string(p.Holder), Apply: p.Apply,
		Officers: p.Approval.Officers, FreeFrom: int(p.Approval.LevelFree), Keys: p.Keys, Days: p.Days, Pair: p.Pair,
	}
	for _, f := range p.Fields {
		v.Fields = append(v.Fields, fieldsView{f.Name, f.Pattern})
	}
	return v
}
