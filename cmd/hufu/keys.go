package main

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"text/tabwriter"
	"time"

	"hufu/internal/fault"
)

// keysCommands are about the keys of a running server, by its API.
type keysCommands struct {
	List         keysListCommand     `cmd:"" help:"List keys, their versions and the rotations under way. Example: hufu keys list --token-file token"`
	Generate     keysGenerateCommand `cmd:"" help:"Make a key in the device. Example: hufu keys generate envelope --purpose envelope --algorithm sm2"`
	Rotate       keysRotateCommand   `cmd:"" help:"Replace a key by a new version and bring over what stands under the old one. Example: hufu keys rotate data:field --wait"`
	Destroy      keysDestroyCommand  `cmd:"" help:"Destroy a retired version for ever; two super administrators must ask. Example: hufu keys destroy master 1 --yes"`
	ExportPublic keysExportCommand   `cmd:"" name:"export-public" help:"Print the public half of a key as PEM. Example: hufu keys export-public log"`
	Activate     keysActivateCommand `cmd:"" help:"Let a seal be used without its owner's PIN for some time; the PIN is read from the terminal or from standard input. Example: hufu keys activate 33010000000001 --kind document --count 100 --hours 8"`
}

type keyVersion struct {
	Key       string    `json:"key"`
	Version   uint32    `json:"version"`
	Purpose   string    `json:"purpose"`
	Algorithm string    `json:"algorithm,omitempty"`
	State     string    `json:"state"`
	Master    string    `json:"master,omitempty"`
	Way       string    `json:"way,omitempty"`
	Fixed     string    `json:"fixed,omitempty"`
	Made      time.Time `json:"made"`
}

type keyRotation struct {
	ID        string    `json:"id,omitempty"`
	Key       string    `json:"key"`
	Way       string    `json:"way"`
	Phase     string    `json:"phase"`
	From      uint32    `json:"from"`
	To        uint32    `json:"to,omitempty"`
	Stage     string    `json:"stage,omitempty"`
	Done      int64     `json:"done"`
	Total     int64     `json:"total"`
	Held      int64     `json:"held,omitempty"`
	NotBefore time.Time `json:"not_before,omitzero"`
}

type items[T any] struct {
	Items []T `json:"items"`
}

// wayWords says what a rotation will do.
var wayWords = map[string]fault.Text{
	"once":      {ZH: "新版本立即启用，旧版本所生成的内容保持不变", EN: "the new version works at once; what the old one made stays as it is"},
	"published": {ZH: "新公钥先公布六分钟再启用，旧公钥在其令牌到期前继续公布", EN: "the new key is published for six minutes before it signs, the old one until its tokens have ended"},
	"accepted":  {ZH: "各节点先接受新版本再启用，旧版本继续被接受", EN: "all nodes accept the new version before it works, and go on accepting the old one"},
	"resealed":  {ZH: "各节点先打开新版本再启用，全部数据行随后改由新版本保护", EN: "all nodes open the new version before it works, then every row is made anew under it"},
	"rewrapped": {ZH: "新版本立即启用，其下的全部密钥随后重新封装", EN: "the new version works at once, then every key under the old one is wrapped anew"},
}

// phaseWords says where a rotation stands.
var phaseWords = map[string]fault.Text{
	"making":    {ZH: "正在生成新版本", EN: "the new version is being made"},
	"published": {ZH: "新版本已公布，尚未启用", EN: "the new version is known and does not work yet"},
	"working":   {ZH: "正在逐行处理", EN: "rows are brought over"},
	"waiting":   {ZH: "尚有数据留在旧版本下，稍后再查", EN: "rows still stand under the old version; it will be looked at again"},
	"fading":    {ZH: "新版本已启用，旧公钥仍在公布", EN: "the new version works, the old public key is still published"},
	"done":      {ZH: "已完成", EN: "done"},
}

// restWords are for the minute in which another node may still use the old version.
var restWords = fault.Text{ZH: "已全部处理，旧版本再保留一分钟", EN: "everything is brought over, the old version stays for a minute"}

type keysListCommand struct {
	remote
	JSON bool `help:"Print JSON."`
}

func (c *keysListCommand) Run(con *console) error {
	s, err := c.open()
	if err != nil {
		return err
	}
	var all items[keyVersion]
	var rotations items[keyRotation]
	if err := s.ask(con.ctx, http.MethodGet, "/api/v1/keys", nil, &all); err != nil {
		return err
	}
	if err := s.ask(con.ctx, http.MethodGet, "/api/v1/keys/rotations", nil, &rotations); err != nil {
		return err
	}
	if c.JSON {
		return printJSON(con.out, map[string]any{"keys": all.Items, "rotations": rotations.Items})
	}
	w := tabwriter.NewWriter(con.out, 0, 8, 2, ' ', 0)
	fmt.Fprintln(w, "KEY\tVERSION\tSTATE\tALGORITHM\tUNDER\tROTATION")
	for _, k := range all.Items {
		way := k.Way
		if way == "" {
			way = "none: " + k.Fixed
		}
		fmt.Fprintf(w, "%s\t%d\t%s\t%s\t%s\t%s\n", k.Key, k.Version, k.State, orDash(k.Algorithm), orDash(k.Master), way)
	}
	if err := w.Flush(); err != nil {
		return err
	}
	for _, r := range rotations.Items {
		fmt.Fprintln(con.out, r.line())
	}
	return nil
}

func orDash(s string) string {
	if s == "" {
		return "-"
	}
	return s
}

// line tells how far a rotation is, in both languages.
func (r keyRotation) line() string {
	words := phaseWords[r.Phase]
	if r.Phase == "waiting" && r.Held == 0 {
		words = restWords
	}
	to := "the next" // not made yet
	if r.To > 0 {
		to = fmt.Sprint(r.To)
	}
	line := fmt.Sprintf("rotation of %s, %d to %s: %s", r.Key, r.From, to, words.EN)
	if r.Total > 0 {
		line += fmt.Sprintf(", %d of %d rows", r.Done, r.Total)
	}
	if r.Held > 0 {
		line += fmt.Sprintf(", %d held", r.Held)
	}
	if !r.NotBefore.IsZero() && r.Phase != "done" {
		line += ", next step " + r.NotBefore.Local().Format(time.DateTime)
	}
	return line + " / " + words.ZH
}

func printJSON(w io.Writer, v any) error {
	encoder := json.NewEncoder(w)
	encoder.SetIndent("", "  ")
	encoder.SetEscapeHTML(false)
	return encoder.Encode(v)
}

type keysGenerateCommand struct {
	remote
	Key       string `arg:"" help:"Label of the key."`
	Purpose   string `required:"" help:"What it is for: envelope, tsa, qr, master and so on, as hufu keys list --json names purposes." placeholder:"NAME"`
	Algorithm string `required:"" help:"sm2, p256, rsa2048, rsa3072, sm4 or aes256." placeholder:"NAME"`
	DryRun    bool   `help:"Refuse what would be refused, and make nothing."`
	JSON      bool   `help:"Print JSON."`
}

func (c *keysGenerateCommand) Run(con *console) error {
	s, err := c.open()
	if err != nil {
		return err
	}
	var made keyVersion
	if err := s.ask(con.ctx, http.MethodPost, "/api/v1/keys", map[string]any{
		"key": c.Key, "purpose": c.Purpose, "algorithm": c.Algorithm, "check": c.DryRun,
	}, &made); err != nil {
		return err
	}
	if c.JSON {
		return printJSON(con.out, made)
	}
	name := fmt.Sprintf("%s/%d, %s for %s", made.Key, made.Version, made.Algorithm, made.Purpose)
	switch {
	case made.State == "active":
		fmt.Fprintf(con.out, "key %s: active / 已启用\n", name)
	case c.DryRun:
		fmt.Fprintf(con.out, "would make key %s / 将生成该密钥\n", name)
	default:
		fmt.Fprintf(con.out, "key %s: %s\n", name, made.State)
	}
	return nil
}

type keysRotateCommand struct {
	remote
	Key    string `arg:"" help:"Label of a device key, or data: and the purpose of a data key."`
	DryRun bool   `help:"Tell what would be done, and change nothing."`
	Wait   bool   `help:"Stay until the rotation is done; it goes on by itself in any case."`
	JSON   bool   `help:"Print JSON."`
}

func (c *keysRotateCommand) Run(con *console) error {
	s, err := c.open()
	if err != nil {
		return err
	}
	path, method := "/api/v1/keys/"+url.PathEscape(c.Key)+"/rotation", http.MethodPost
	if c.DryRun {
		method = http.MethodGet
	}
	var r keyRotation
	if err := s.ask(con.ctx, method, path, nil, &r); err != nil {
		return err
	}
	if c.Wait && !c.DryRun {
		if r, err = c.wait(con, s, r); err != nil {
			return err
		}
	}
	if c.JSON {
		return printJSON(con.out, r)
	}
	if c.DryRun {
		words := wayWords[r.Way]
		fmt.Fprintf(con.out, "would rotate %s/%d, about %d rows: %s / %s\n", r.Key, r.From, r.Total, words.EN, words.ZH)
		return nil
	}
	fmt.Fprintln(con.out, r.line())
	return nil
}

// wait follows a rotation to its end, or to where only owners or time can bring it on.
func (c *keysRotateCommand) wait(con *console, s *session, r keyRotation) (keyRotation, error) {
	bar := newProgress(con.err, "rotating "+c.Key)
	for r.Phase != "done" && (r.Phase != "waiting" || time.Until(r.NotBefore) < 10*time.Minute) {
		if r.Total > 0 {
			bar(min(r.Done, r.Total), r.Total)
		}
		if !sleep(con.ctx, 500*time.Millisecond) {
			return r, con.ctx.Err()
		}
		var all items[keyRotation]
		if err := s.ask(con.ctx, http.MethodGet, "/api/v1/keys/rotations", nil, &all); err != nil {
			return r, err
		}
		for _, now := range all.Items {
			if now.ID == r.ID {
				r = now
			}
		}
	}
	bar(max(r.Total, 1), max(r.Total, 1))
	return r, nil
}

type keysDestroyCommand struct {
	remote
	Key     string `arg:"" help:"Label of a device key, or data: and the purpose of a data key."`
	Version uint32 `arg:"" help:"Number of a retired version."`
	Yes     bool   `help:"It is meant: what is destroyed never comes back."`
	DryRun  bool   `help:"Refuse what would be refused, and destroy nothing."`
}

var errNotMeant = fault.New(fault.Invalid, "keys.yes",
	"A destroyed key never comes back. Try with --dry-run first, then give --yes.", "密钥销毁后不可恢复。请先用 --dry-run 试行，再加 --yes 执行。")

func (c *keysDestroyCommand) Run(con *console) error {
	if !c.Yes && !c.DryRun {
		return errNotMeant.With("destroy %s/%d", c.Key, c.Version)
	}
	s, err := c.open()
	if err != nil {
		return err
	}
	path := fmt.Sprintf("/api/v1/keys/%s/versions/%d", url.PathEscape(c.Key), c.Version)
	if c.DryRun {
		path += "?check=true"
	}
	if err := s.ask(con.ctx, http.MethodDelete, path, nil, nil); err != nil {
		return err
	}
	if c.DryRun {
		fmt.Fprintf(con.out, "%s/%d could be destroyed. 可以销毁。\n", c.Key, c.Version)
	} else {
		fmt.Fprintf(con.out, "%s/%d is destroyed. 已销毁。\n", c.Key, c.Version)
	}
	return nil
}

type keysExportCommand struct {
	remote
	Key     string `arg:"" help:"Label of a device key."`
	Version uint32 `help:"Another version than the one at work." placeholder:"N"`
	JSON    bool   `help:"Print JSON."`
}

func (c *keysExportCommand) Run(con *console) error {
	s, err := c.open()
	if err != nil {
		return err
	}
	var text []byte
	path := fmt.Sprintf("/api/v1/keys/%s/public?version=%d", url.PathEscape(c.Key), c.Version)
	if err := s.ask(con.ctx, http.MethodGet, path, nil, &text); err != nil {
		return err
	}
	if c.JSON {
		return printJSON(con.out, map[string]string{"key": c.Key, "public": string(text)})
	}
	_, err = con.out.Write(text)
	return err
}
