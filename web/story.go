package web

import (
	"context"
	"errors"
	"mime"
	"net/http"
	"net/url"
	"strconv"
	"strings"

	"hufu/internal/fault"
	"hufu/seal/check"
)

// Story is the guided story of a demonstration: each call has its real effect in the domain services. A story is known
// by an id, which the browser keeps in a cookie. Calls out of order answer with a fault that says which step is missing;
// a call that was done already may be done again.
type Story interface {
	// Start begins a story and returns its id.
	Start(ctx context.Context) (id string, err error)
	// State tells how far a story is; a fault of kind NotFound when there is none of that id. lang is "zh" or "en".
	State(ctx context.Context, id, lang string) (StoryState, error)
	// Issue issues the licence to whom the citizen acts for, and seals it: with the seal's PIN, which is empty while a standing
	// activation covers it.
	Issue(ctx context.Context, id string, pin []byte) error
	// Forge makes a copy of the licence in which a field prints another value, without the issuer's key.
	Forge(ctx context.Context, id, field, value string) error
	// Verify checks the licence and the forged copy with nothing but the trust bundle.
	Verify(ctx context.Context, id string) error
	// Prove fetches the proof that the licence's record is in the log.
	Prove(ctx context.Context, id string) error
	// File returns a file that a step made; a fault of kind NotFound when there is none of that name.
	File(ctx context.Context, id, name string) (StoryFile, error)
}

// The steps of a story, as indexes of StoryState.Steps.
const (
	StoryLogin = iota
	StoryAct
	StoryIssue
	StoryLook
	StoryForge
	StoryVerify
	StoryProve
	StorySteps // how many there are
)

// StoryState is how far a story is. What has not happened yet is nil.
type StoryState struct {
	Citizen *StoryCitizen // who is logged in at the sample application
	Acting  *StoryActing  // whom she acts for there
	Licence *StoryLicence // issued and sealed
	Forged  *StoryForgery // the edited copy
	Genuine *StoryVerdict // on the licence
	Fake    *StoryVerdict // on the forged copy
	Proof   *StoryProof   // from the log
	// NeedsPIN says that no standing activation covers the licence, so that issuing it asks for the seal's PIN.
	NeedsPIN bool
	Steps    [StorySteps]StoryStep
}

// StoryStep is what the page says of a step besides its result.
type StoryStep struct {
	Curl  string      // the command line that does the same; "" if none
	Files []StoryLink // that the step made
}

// StoryLink is a file to fetch. Name is what File is asked for.
type StoryLink struct {
	Name  string
	Label fault.Text
}

// StoryCitizen is who logged in, as the sample application learnt it from the tokens.
type StoryCitizen struct {
	Name  string
	Level int // of assurance, 1 to 4
}

// StoryActing is the organisation acted for.
type StoryActing struct{ Name, USCC string }

// StoryLicence is the licence. Preview is an image (SVG) of its page, OFD the document itself, both names of files.
type StoryLicence struct {
	ID, Title    string
	Issuer, Seal string
	Fields       []StoryField
	Preview, OFD string
}

// StoryField is a field of the licence. Forgery is what the page proposes to write instead.
type StoryField struct{ Name, Label, Value, Forgery string }

// StoryForgery is the forged copy.
type StoryForgery struct {
	Field, Label, Was, Now string
	Preview, OFD           string
}

// StoryVerdict is the report on a file; JSON is the name of the file that holds it as sealcheck prints it.
type StoryVerdict struct {
	Report check.Report
	JSON   string
}

// StoryProof is where the record of the licence stands in the log.
type StoryProof struct {
	Entry  string // id of the entry
	Index  uint64 // leaf, counted from 0
	Size   uint64 // of the tree that the checkpoint signs
	Root   string // hexadecimal
	Path   []string
	Action string
}

// StoryFile is a file of a story.
type StoryFile struct {
	ContentType string
	Data        []byte
}

const storyCookie = "hufu-story"

var errNoStory = fault.New(fault.NotFound, "web.no-story",
	"This story is over or was begun in another browser. Start it again from the home page.", "该演示已结束，或是在其他浏览器中开始的。请从首页重新开始。")

// storyView is the home page of a demonstration.
type storyView struct {
	frame
	StoryState
	ID      string // "" before it is begun
	LoginAt string // address of the sample application's log-in
	Rail    []railStop
	Genuine *reportView
	Fake    *reportView
}

// railStop is a step in the list beside the story.
type railStop struct {
	Number string // "+" for the proof, which follows the six
	Anchor string
	Title  string
	State  string // "done", "now", "later"
	Word   string // the same in words
	Step   StoryStep
}

var storyTitles = [StorySteps]fault.Text{
	{ZH: "市民登录", EN: "A citizen logs in"},
	{ZH: "代表公司办事", EN: "She acts for her company"},
	{ZH: "签发证照并盖章", EN: "A licence is issued and sealed"},
	{ZH: "查看证照", EN: "Look at it"},
	{ZH: "伪造一份", EN: "Forge it"},
	{ZH: "验证真伪", EN: "Verify both"},
	{ZH: "日志证明", EN: "Proof from the log"},
}

var storyAnchors = [StorySteps]string{"login", "act", "issue", "look", "forge", "verify", "prove"}

// done tells which steps are done. Looking needs no act of its own. The log-in may end while what was made stays.
func (st *StoryState) done() [StorySteps]bool {
	return [StorySteps]bool{
		StoryLogin: st.Citizen != nil, StoryAct: st.Acting != nil, StoryIssue: st.Licence != nil, StoryLook: st.Licence != nil,
		StoryForge: st.Forged != nil, StoryVerify: st.Genuine != nil && st.Fake != nil, StoryProve: st.Proof != nil,
	}
}

func (s *Site) showStory(w http.ResponseWriter, r *http.Request) {
	v := &storyView{frame: s.frame(r, fault.Text{ZH: "六步看懂可信身份与证照", EN: "Trusted identity and licences in six steps"}), LoginAt: "/sample/login"}
	v.Wide = true
	if id := storyID(r); id != "" {
		state, err := s.Story.State(r.Context(), id, v.Lang)
		switch {
		case err == nil:
			v.ID, v.StoryState = id, state
			v.LoginAt = with(v.LoginAt, "story", id)
		case fault.KindOf(err) != fault.NotFound: // else it is over, or of another run of the program: begin anew
			s.fail(w, r, err)
			return
		}
	}
	v.lay()
	s.show(w, r, "story", v)
}

// lay fills in what follows from the state.
func (v *storyView) lay() {
	done, current := v.done(), true // the first step that is not done is the current one
	for n, title := range storyTitles {
		stop := railStop{Number: strconv.Itoa(n + 1), Anchor: storyAnchors[n], Title: v.Say(title), State: "later", Word: v.T("待进行", "to come"), Step: v.Steps[n]}
		if n == StoryProve {
			stop.Number = "+"
		}
		switch {
		case done[n]:
			stop.State, stop.Word = "done", v.T("已完成", "done")
		case current:
			stop.State, stop.Word = "now", v.T("当前步骤", "current step")
			current = false
		default:
			stop.Step = StoryStep{} // what it is about does not exist yet
		}
		v.Rail = append(v.Rail, stop)
	}
	if g := v.StoryState.Genuine; g != nil {
		v.Genuine = v.report(g.Report)
	}
	if f := v.StoryState.Fake; f != nil {
		v.Fake = v.report(f.Report)
	}
}

func storyID(r *http.Request) string {
	c, err := r.Cookie(storyCookie)
	if err != nil || c.Value == "" || len(c.Value) > 64 || strings.ContainsFunc(c.Value, func(c rune) bool { return c <= ' ' || c > '~' }) {
		return ""
	}
	return c.Value
}

// doStoryStart begins a story and goes to its first step, or with "again" back to the page.
func (s *Site) doStoryStart(w http.ResponseWriter, r *http.Request) {
	id, err := s.Story.Start(r.Context())
	if err != nil {
		s.fail(w, r, err)
		return
	}
	http.SetCookie(w, &http.Cookie{Name: storyCookie, Value: id, Path: "/", HttpOnly: true, Secure: s.secure, SameSite: http.SameSiteLaxMode})
	if r.PostForm.Has("again") {
		seeOther(w, "/")
		return
	}
	seeOther(w, "/sample/login?"+url.Values{"story": {id}}.Encode())
}

// doStory answers the button of a step: it does it, then shows the page there.
func (s *Site) doStory(do func(ctx context.Context, id string, form url.Values) error, anchor string) http.HandlerFunc {
	return s.form(func(w http.ResponseWriter, r *http.Request) {
		id := storyID(r)
		if id == "" {
			s.fail(w, r, errNoStory)
			return
		}
		if err := do(r.Context(), id, r.PostForm); err != nil {
			if fault.KindOf(err) == fault.NotFound && !errors.Is(err, errNoStory) {
				err = errNoStory.With("%w", err)
			}
			s.fail(w, r, err)
			return
		}
		seeOther(w, "/#"+anchor)
	})
}

// storyRoutes are the pages of the story.
func (s *Site) storyRoutes() map[string]http.HandlerFunc {
	plain := func(do func(context.Context, string) error) func(context.Context, string, url.Values) error {
		return func(ctx context.Context, id string, _ url.Values) error { return do(ctx, id) }
	}
	forge := func(ctx context.Context, id string, form url.Values) error {
		value := strings.TrimSpace(form.Get("value"))
		if form.Get("field") == "" || value == "" || len(value) > 512 {
			return errForge
		}
		return s.Story.Forge(ctx, id, form.Get("field"), value)
	}
	issue := func(ctx context.Context, id string, form url.Values) error {
		pin := pinOf(form, "pin")
		defer clear(pin)
		return s.Story.Issue(ctx, id, pin)
	}
	return map[string]http.HandlerFunc{
		"POST /story/start":      s.form(s.doStoryStart),
		"POST /story/issue":      s.doStory(issue, "look"),
		"POST /story/forge":      s.doStory(forge, "forge"),
		"POST /story/verify":     s.doStory(plain(s.Story.Verify), "verify"),
		"POST /story/prove":      s.doStory(plain(s.Story.Prove), "prove"),
		"GET /story/file/{name}": s.serveStoryFile,
	}
}

var errForge = fault.New(fault.Invalid, "web.forge",
	"Choose a field and write what it shall say instead. Go back and fill in both.", "请选择要改的栏目并填写新内容。请返回填写完整。")

// serveStoryFile serves a file of the browser's own story: pictures to be shown, the rest to be kept.
func (s *Site) serveStoryFile(w http.ResponseWriter, r *http.Request) {
	id, name := storyID(r), r.PathValue("name")
	if id == "" {
		s.fail(w, r, errNoStory)
		return
	}
	file, err := s.Story.File(r.Context(), id, name)
	if err != nil {
		s.fail(w, r, err)
		return
	}
	h := w.Header()
	h.Set("Content-Type", file.ContentType)
	h.Set("Cache-Control", "no-store")
	// A picture may have styles of its own, and nothing else: it is made from what people typed.
	h.Set("Content-Security-Policy", "default-src 'none'; style-src 'unsafe-inline'; img-src data:; sandbox")
	if !strings.HasPrefix(file.ContentType, "image/") || r.URL.Query().Has("save") {
		h.Set("Content-Disposition", mime.FormatMediaType("attachment", map[string]string{"filename": name}))
	}
	_, _ = w.Write(file.Data)
}
