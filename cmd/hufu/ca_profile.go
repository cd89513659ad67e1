package main

import (
	"bytes"
	"fmt"
	"net/http"
	"net/url"
	"os"
	"strconv"
	"text/tabwriter"
	"time"

	"hufu/ca"
	"hufu/internal/fault"
)

// profileCommands are about certificate profiles, by the API of a running server; check works alone.
type profileCommands struct {
	List     profileList     `cmd:"" help:"List the profiles that can be applied for, or with a name its versions. Example: hufu ca profile list person-sign"`
	Show     profileShow     `cmd:"" help:"Print a version of a profile, and with --against its differences. Example: hufu ca profile show person-sign --version 2 --against 1"`
	Check    profileCheck    `cmd:"" help:"Check a file without a server, and print a certificate as it would make it. Example: hufu ca profile check person-sign.yaml"`
	Import   profileImport   `cmd:"" help:"Propose a file as the next version. Example: hufu ca profile import person-sign.yaml --dry-run"`
	Publish  profilePublish  `cmd:"" help:"Put a version in force that another administrator proposed. Example: hufu ca profile publish person-sign 2"`
	Withdraw profileWithdraw `cmd:"" help:"Withdraw a version: nothing is issued under it any more. Example: hufu ca profile withdraw person-sign 2"`
}

// profileVersion is what the API says of one.
type profileVersion struct {
	Name        string       `json:"name"`
	Version     int          `json:"version"`
	State       string       `json:"state,omitempty"`
	Source      string       `json:"source,omitempty"`
	SM3         string       `json:"sm3,omitempty"`
	Maker       string       `json:"maker,omitempty"`
	Checker     string       `json:"checker,omitempty"`
	At          time.Time    `json:"at,omitzero"`
	Text        string       `json:"text,omitempty"`
	Differences []difference `json:"differences,omitempty"`
	Sample      string       `json:"sample,omitempty"`
	TBS         []byte       `json:"tbs,omitempty"`
}

type difference struct {
	Field string `json:"field"`
	Old   string `json:"old,omitempty"`
	New   string `json:"new,omitempty"`
}

func profilePath(name string) string { return "/api/v1/profiles/" + url.PathEscape(name) }

func versionPath(name string, version int) string {
	return profilePath(name) + "/versions/" + strconv.Itoa(version)
}

type profileList struct {
	remote
	Name string `arg:"" optional:"" help:"Profile whose versions are listed."`
	JSON bool   `help:"Print JSON."`
}

func (c *profileList) Run(con *console) error {
	s, err := c.open()
	if err != nil {
		return err
	}
	if c.Name == "" {
		return c.offered(con, s)
	}
	var all items[profileVersion]
	if err := s.ask(con.ctx, http.MethodGet, profilePath(c.Name)+"/versions", nil, &all); err != nil {
		return err
	}
	if c.JSON {
		return printJSON(con.out, all.Items)
	}
	w := tabwriter.NewWriter(con.out, 0, 8, 2, ' ', 0)
	fmt.Fprintln(w, "VERSION\tSTATE\tSOURCE\tMADE\tBY\tDECIDED BY\tSM3")
	for _, v := range all.Items {
		fmt.Fprintf(w, "%d\t%s\t%s\t%s\t%s\t%s\t%.16s\n", v.Version, v.State, v.Source, v.At.Local().Format(time.DateTime), v.Maker, v.Checker, v.SM3)
	}
	return w.Flush()
}

func (c *profileList) offered(con *console, s *session) error {
	var all items[struct {
		Name    string `json:"name"`
		Version int    `json:"version"`
		Holder  string `json:"holder"`
		Days    int    `json:"days"`
		Title   struct {
			ZH string `json:"zh"`
			EN string `json:"en"`
		} `json:"title"`
	}]
	if err := s.ask(con.ctx, http.MethodGet, "/api/v1/profiles", nil, &all); err != nil {
		return err
	}
	if c.JSON {
		return printJSON(con.out, all.Items)
	}
	w := tabwriter.NewWriter(con.out, 0, 8, 2, ' ', 0)
	fmt.Fprintln(w, "NAME\tVERSION\tHOLDER\tDAYS\tTITLE")
	for _, p := range all.Items {
		fmt.Fprintf(w, "%s\t%d\t%s\t%d\t%s %s\n", p.Name, p.Version, p.Holder, p.Days, p.Title.ZH, p.Title.EN)
	}
	return w.Flush()
}

type profileShow struct {
	remote
	Name    string `arg:"" help:"Profile."`
	Version int    `help:"Version; the one in force if left out." placeholder:"N"`
	Against int    `help:"Version to compare with." placeholder:"N"`
	JSON    bool   `help:"Print JSON."`
}

func (c *profileShow) Run(con *console) error {
	s, err := c.open()
	if err != nil {
		return err
	}
	var v profileVersion
	if err := s.ask(con.ctx, http.MethodGet, profilePath(c.Name), nil, &v); c.Version == 0 && err != nil {
		return err
	}
	if c.Version == 0 {
		c.Version = v.Version
	}
	if err := s.ask(con.ctx, http.MethodGet, versionPath(c.Name, c.Version)+"?against="+strconv.Itoa(c.Against), nil, &v); err != nil {
		return err
	}
	if c.JSON {
		return printJSON(con.out, v)
	}
	if c.Against > 0 {
		return printDifferences(con, v.Differences)
	}
	_, err = fmt.Fprintf(con.out, "# %s version %d, %s, %s, SM3 %s\n%s", v.Name, v.Version, v.State, v.Source, v.SM3, v.Text)
	return err
}

func printDifferences(con *console, all []difference) error {
	if len(all) == 0 {
		fmt.Fprintln(con.out, "No field differs. / 没有不同的字段。")
	}
	for _, d := range all {
		fmt.Fprintf(con.out, "%s: %q -> %q\n", d.Field, d.Old, d.New)
	}
	return nil
}

var errProfileFile = fault.New(fault.Invalid, "profile.file",
	"The file with the profile cannot be read. Name a readable file of at most 64 KiB.", "无法读取证书模板文件。请指定不超过 64 KiB 的可读文件。")

func readProfile(file string) ([]byte, error) {
	text, err := readSmall(file)
	if err != nil {
		return nil, errProfileFile.With("%w", err)
	}
	return text, nil
}

type profileCheck struct {
	File string            `arg:"" type:"path" help:"The profile, YAML."`
	Fact map[string]string `help:"Fact for the sample, where an invented one does not fit." placeholder:"NAME=VALUE"`
	DER  string            `type:"path" help:"New file for the sample's bytes to be signed, DER." placeholder:"FILE"`
}

func (c *profileCheck) Run(con *console) error {
	text, err := readProfile(c.File)
	if err != nil {
		return err
	}
	p, err := ca.ParseProfile(text)
	if err != nil {
		return err
	}
	sample, err := ca.SampleAlone(p, c.Fact, time.Now)
	if err != nil {
		return err
	}
	if c.DER != "" {
		if err := os.WriteFile(c.DER, sample.TBS, 0o644); err != nil {
			return errProfileFile.With("%w", err)
		}
	}
	_, err = fmt.Fprintf(con.out, "Profile %s is sound. A certificate under it, for invented people and an invented issuer: / 模板正确，以下为虚构信息的证书样例：\n\n%s", p.Name, sample.Dump)
	return err
}

type profileImport struct {
	remote
	File   string            `arg:"" type:"path" help:"The profile, YAML."`
	DryRun bool              `help:"Show differences and a sample; keep nothing."`
	Fact   map[string]string `help:"Fact for the sample, where an invented one does not fit." placeholder:"NAME=VALUE"`
	JSON   bool              `help:"Print JSON."`
}

func (c *profileImport) Run(con *console) error {
	text, err := readProfile(c.File)
	if err != nil {
		return err
	}
	s, err := c.open()
	if err != nil {
		return err
	}
	in := map[string]any{"text": string(text), "dry_run": c.DryRun, "facts": c.Fact}
	if len(c.Fact) == 0 {
		delete(in, "facts")
	}
	var v profileVersion
	if err := s.ask(con.ctx, http.MethodPost, "/api/v1/profiles", in, &v); err != nil {
		return err
	}
	if c.JSON {
		return printJSON(con.out, v)
	}
	if err := c.differences(con, v); err != nil {
		return err
	}
	fmt.Fprintf(con.out, "\n%s\n", bytes.TrimSpace([]byte(v.Sample)))
	if c.DryRun {
		fmt.Fprintf(con.out, "\nNothing was kept. Without --dry-run this becomes version %d. / 未保存；不加 --dry-run 将成为第 %[1]d 版。\n", v.Version)
		return nil
	}
	fmt.Fprintf(con.out, "\nVersion %d is proposed. Another administrator puts it in force: / 第 %[1]d 版已提出，由另一名管理员发布：\nhufu ca profile publish %s %[1]d\n", v.Version, v.Name)
	return nil
}

// differences tells what changes against the version in force, or that there was none.
func (c *profileImport) differences(con *console, v profileVersion) error {
	if v.Version == 1 {
		_, err := fmt.Fprintf(con.out, "Profile %s is new: there is nothing to compare it with. / 模板 %[1]s 为新建，没有可比较的版本。\n", v.Name)
		return err
	}
	return printDifferences(con, v.Differences)
}

// oneVersion is what publish and withdraw take.
type oneVersion struct {
	remote
	Name    string `arg:"" help:"Profile."`
	Version int    `arg:"" help:"Version."`
	JSON    bool   `help:"Print JSON."`
}

func (c *oneVersion) move(con *console, act string, done fault.Text) error {
	s, err := c.open()
	if err != nil {
		return err
	}
	var v profileVersion
	if err := s.ask(con.ctx, http.MethodPost, versionPath(c.Name, c.Version)+"/"+act, nil, &v); err != nil {
		return err
	}
	if c.JSON {
		return printJSON(con.out, v)
	}
	_, err = fmt.Fprintf(con.out, "Version %d of %s is %s / %[2]s 第 %[1]d 版%[4]s\n", v.Version, v.Name, done.EN, done.ZH)
	return err
}

type profilePublish struct{ oneVersion }

func (c *profilePublish) Run(con *console) error {
	return c.move(con, "publish", fault.Text{EN: "in force", ZH: "已生效"})
}

type profileWithdraw struct{ oneVersion }

func (c *profileWithdraw) Run(con *console) error {
	return c.move(con, "withdraw", fault.Text{
		EN: "withdrawn; nothing is issued under it, and what was issued stays good.", ZH: "已停用，不再据此签发；已签发的证书仍然有效。",
	})
}
