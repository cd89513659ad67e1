package api

import (
	"cmp"
	"context"
	"encoding/hex"
	"slices"
	"time"

	"hufu/ca"
	"hufu/internal/actor"
)

func (a *API) profileRoutes() []route {
	const admins, readers = "business administrator, super administrator", "registrar, approver, administrators"
	return []route{
		{"GET /api/v1/profiles", anyone, text("列出可申请的证书模板", "List the profiles that can be applied for"), on(a.listProfiles)},
		{"POST /api/v1/profiles", admins, text("导入证书模板的新版本，可先试运行查看差异和样例", "Propose a new version of a profile; dry_run shows differences and a sample and keeps nothing"), on(a.importProfile, costs(5))},
		{"GET /api/v1/profiles/{name}", readers, text("查看生效的证书模板", "Get the version of a profile that is in force"), on(a.getProfile)},
		{"GET /api/v1/profiles/{name}/versions", readers, text("列出证书模板的各版本", "List the versions of a profile, newest first"), on(a.listProfileVersions)},
		{"GET /api/v1/profiles/{name}/versions/{version}", readers, text("查看证书模板的某一版本及其与另一版本的差异", "Get a version, and how it differs from another"), on(a.getProfileVersion)},
		{"POST /api/v1/profiles/{name}/versions/{version}/publish", admins + "; not who imported it", text("发布证书模板版本，须由他人发布", "Put a proposed version in force"), on(a.publishProfile)},
		{"POST /api/v1/profiles/{name}/versions/{version}/withdraw", admins, text("撤回证书模板版本，立即停止按其签发", "Withdraw a version: nothing is issued under it any more"), on(a.withdrawProfile)},
	}
}

type profileView struct {
	Name     string       `json:"name"`
	Version  int          `json:"version"`
	Title    titleView    `json:"title"`
	Holder   string       `json:"holder" enum:"person,entity,official,foreign"`
	Apply    []string     `json:"apply" doc:"Who may apply: holder, or roles"`
	Officers int          `json:"officers" doc:"How many officers must approve; 0 is automatic"`
	FreeFrom int          `json:"free_from_level,omitempty" doc:"Identity level of the holder from which approval is automatic"`
	Keys     []string     `json:"keys" doc:"Kinds of keys that the request may have"`
	Medium   string       `json:"medium" enum:"soft,hardware" doc:"Where the key has to be"`
	Serves   []string     `json:"serves,omitempty" doc:"Ways to apply; all if absent"`
	Days     int          `json:"days" doc:"Validity"`
	MostDays int          `json:"most_days,omitempty" doc:"Validity that the applicant may choose at most, by the facts not_before and not_after"`
	Pair     string       `json:"pair,omitempty" doc:"Profile of the encryption certificate that comes with it"`
	Evidence []string     `json:"evidence,omitempty" doc:"Kinds of evidence that must be there before approval"`
	Fields   []fieldsView `json:"fields,omitempty" doc:"Facts that are stated with the application"`
}

type titleView struct {
	ZH string `json:"zh"`
	EN string `json:"en"`
}

type fieldsView struct {
	Name    string    `json:"name"`
	Title   titleView `json:"title,omitzero"`
	Pattern string    `json:"pattern,omitempty"`
	Rule    string    `json:"rule,omitempty" enum:"required,optional,fixed"`
	Source  string    `json:"source,omitempty" enum:"application,officer" doc:"officer: only a registrar may state it"`
	Max     int       `json:"max,omitempty" doc:"Characters"`
	Default string    `json:"default,omitempty"`
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
		Officers: p.Approval.Officers, FreeFrom: int(p.Approval.LevelFree), Keys: p.Keys, Medium: cmp.Or(p.Medium, ca.MediumSoft),
		Serves: p.Serves, Days: p.Days, Pair: p.Pair, Evidence: p.Evidence,
	}
	if p.Validity.Choose {
		v.MostDays = max(p.Days, p.Validity.MostDays)
	}
	for _, f := range p.Fields {
		v.Fields = append(v.Fields, fieldsView{
			f.Name, titleView{f.Title.ZH, f.Title.EN}, f.Pattern, string(cmp.Or(f.Rule, ca.Required)), string(cmp.Or(f.Source, ca.FromApplication)), f.Max, f.Default,
		})
	}
	return v
}

type profileVersionView struct {
	Name        string           `json:"name"`
	Version     int              `json:"version"`
	State       string           `json:"state" enum:"proposed,published,withdrawn"`
	Source      string           `json:"source" enum:"shipped,operator"`
	SM3         string           `json:"sm3" doc:"Of the text, hexadecimal"`
	Maker       string           `json:"maker,omitempty" doc:"Subject id; absent for the program"`
	Checker     string           `json:"checker,omitempty" doc:"Who published or withdrew it"`
	At          time.Time        `json:"at"`
	DecidedAt   time.Time        `json:"decided_at,omitzero"`
	Text        string           `json:"text,omitempty" doc:"YAML"`
	Differences []differenceView `json:"differences,omitempty"`
}

type differenceView struct {
	Field string `json:"field" doc:"Path: subject[1].max"`
	Old   string `json:"old,omitempty"`
	New   string `json:"new,omitempty"`
}

func viewProfileVersion(v ca.ProfileVersion) profileVersionView {
	return profileVersionView{
		Name: v.Name, Version: v.Version, State: string(v.State), Source: v.Source, SM3: hex.EncodeToString(v.SM3),
		Maker: v.Maker, Checker: v.Checker, At: v.At, DecidedAt: v.DecidedAt,
	}
}

func viewDifferences(all []ca.Difference) (out []differenceView) {
	for _, d := range all {
		out = append(out, differenceView(d))
	}
	return out
}

type importInput struct {
	Body struct {
		Text   string            `json:"text" maxLength:"65536" doc:"The profile, YAML"`
		DryRun bool              `json:"dry_run,omitempty"`
		Facts  map[string]string `json:"facts,omitempty" doc:"For the sample, where invented ones do not fit"`
	}
}

type reviewView struct {
	profileVersionView
	Sample string `json:"sample" doc:"A certificate as the version would make it, for people"`
	TBS    []byte `json:"tbs" doc:"The same as DER, base64: what would be signed"`
}

func (a *API) importProfile(ctx context.Context, by actor.Actor, in *importInput) (*body[reviewView], error) {
	review, err := a.CA.ImportProfile(ctx, by, ca.ProfileImport{Text: []byte(in.Body.Text), DryRun: in.Body.DryRun, Facts: in.Body.Facts})
	if err != nil {
		return nil, err
	}
	v := viewProfileVersion(review.Version)
	v.Differences = viewDifferences(review.Differences)
	return &body[reviewView]{reviewView{v, review.Sample.Dump, review.Sample.TBS}}, nil
}

type profileInput struct {
	Name string `path:"name" maxLength:"48"`
}

type profileVersionInput struct {
	Name    string `path:"name" maxLength:"48"`
	Version int    `path:"version" minimum:"1" maximum:"10000000"`
}

func (a *API) getProfile(ctx context.Context, by actor.Actor, in *profileInput) (*body[profileVersionView], error) {
	v, err := a.CA.ProfileVersion(ctx, by, in.Name, 0)
	if err != nil {
		return nil, err
	}
	out := viewProfileVersion(v)
	out.Text = string(v.Text)
	return &body[profileVersionView]{out}, nil
}

func (a *API) listProfileVersions(ctx context.Context, by actor.Actor, in *profileInput) (*body[page[profileVersionView]], error) {
	all, err := a.CA.ProfileVersions(ctx, by, in.Name)
	if err != nil {
		return nil, err
	}
	out := page[profileVersionView]{Items: []profileVersionView{}}
	for _, v := range all {
		out.Items = append(out.Items, viewProfileVersion(v))
	}
	return &body[page[profileVersionView]]{out}, nil
}

type compareInput struct {
	Name    string `path:"name" maxLength:"48"`
	Version int    `path:"version" minimum:"1" maximum:"10000000"`
	Against int    `query:"against" minimum:"0" maximum:"10000000" doc:"Version to compare with"`
}

func (a *API) getProfileVersion(ctx context.Context, by actor.Actor, in *compareInput) (*body[profileVersionView], error) {
	v, err := a.CA.ProfileVersion(ctx, by, in.Name, in.Version)
	if err != nil {
		return nil, err
	}
	out := viewProfileVersion(v)
	out.Text = string(v.Text)
	if in.Against > 0 {
		old, err := a.CA.ProfileVersion(ctx, by, in.Name, in.Against)
		if err != nil {
			return nil, err
		}
		differences, err := ca.CompareProfiles(old.Text, v.Text)
		if err != nil {
			return nil, err
		}
		out.Differences = viewDifferences(differences)
	}
	return &body[profileVersionView]{out}, nil
}

func (a *API) publishProfile(ctx context.Context, by actor.Actor, in *profileVersionInput) (*body[profileVersionView], error) {
	v, err := a.CA.PublishProfile(ctx, by, in.Name, in.Version)
	if err != nil {
		return nil, err
	}
	return &body[profileVersionView]{viewProfileVersion(v)}, nil
}

func (a *API) withdrawProfile(ctx context.Context, by actor.Actor, in *profileVersionInput) (*body[profileVersionView], error) {
	v, err := a.CA.WithdrawProfile(ctx, by, in.Name, in.Version)
	if err != nil {
		return nil, err
	}
	return &body[profileVersionView]{viewProfileVersion(v)}, nil
}
