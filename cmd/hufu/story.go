package main

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
	"time"

	"hufu/internal/fault"
	"hufu/licence"
	"hufu/seal"
	"hufu/web"
)

// story is the guided story of the demonstration. Each of its steps is a real domain call by a sample official; what it
// keeps itself is only which licence and which forgery a browser has made, and that in memory.
type story struct {
	d    *demo
	mu   sync.Mutex
	runs map[string]*storyRun
}

// storyRun is one browser's story.
type storyRun struct {
	at      time.Time
	licence string // identifier
	forged  *web.StoryForgery
	genuine map[string]*web.StoryVerdict // by language
	fake    map[string]*web.StoryVerdict
	proof   *web.StoryProof
	files   map[string]web.StoryFile
}

const (
	maxRuns  = 200 // the oldest goes
	storyOFD = "application/ofd"
	storySVG = "image/svg+xml"
)

var (
	errNoStory = fault.New(fault.NotFound, "story.unknown",
		"This story is over. Start it again from the first step.", "该导览已结束。请从第一步重新开始。")
	errStoryOrder = fault.New(fault.Conflict, "story.order",
		"An earlier step is missing. Do the steps from the top.", "前面的步骤尚未完成。请从上到下依次进行。")
)

func newStory(d *demo) *story { return &story{d: d, runs: map[string]*storyRun{}} }

func (s *story) Start(context.Context) (string, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for len(s.runs) >= maxRuns {
		oldest := ""
		for id, r := range s.runs {
			if oldest == "" || r.at.Before(s.runs[oldest].at) {
				oldest = id
			}
		}
		delete(s.runs, oldest)
	}
	id := rand.Text()
	s.runs[id] = &storyRun{at: s.d.now(), files: map[string]web.StoryFile{}}
	return id, nil
}

// run returns a copy of a story's state; keep stores one back.
func (s *story) run(id string) (storyRun, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	r := s.runs[id]
	if r == nil {
		return storyRun{}, errNoStory.With("story %q", id)
	}
	return *r, nil
}

func (s *story) keep(id string, change func(*storyRun)) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	r := s.runs[id]
	if r == nil {
		return errNoStory.With("story %q", id)
	}
	next := *r
	next.files = maps.Clone(r.files) // copies that run gave away are read without the lock
	change(&next)
	s.runs[id] = &next
	return nil
}

// Issue issues a fresh business licence to the company that the citizen acts for, by the sample official, and seals it.
func (s *story) Issue(ctx context.Context, id string, pin []byte) error {
	r, err := s.run(id)
	if err != nil {
		return err
	}
	visitor, ok := s.d.hall.Visitor(id)
	if !ok || visitor.ActFor == nil {
		return errStoryOrder.With("nobody acts for an organisation in story %s", id)
	}
	if r.licence != "" {
		return nil
	}
	officer, err := s.d.official(ctx, "liming")
	if err != nil {
		return err
	}
	order := s.d.sampleOrder("story-" + id)
	order.Consent.PIN = pin
	issued, err := s.d.licences.Issue(ctx, officer, order)
	if err != nil {
		return err
	}
	asked, err := json.MarshalIndent(map[string]any{"type": order.Type, "holder": order.Holder, "seal": order.Seal, "data": order.Data}, "", "  ")
	if err != nil {
		return err
	}
	file, err := s.d.licences.Document(ctx, officer, issued.ID)
	if err != nil {
		return err
	}
	preview, err := licence.Preview(file)
	if err != nil {
		return err
	}
	if err := s.d.refreshBundle(ctx); err != nil {
		return err
	}
	return s.keep(id, func(r *storyRun) {
		r.licence = issued.ID
		r.files[issued.ID+".ofd"] = web.StoryFile{ContentType: storyOFD, Data: file}
		r.files["order.json"] = web.StoryFile{ContentType: "application/json", Data: append(asked, '\n')}
		r.files["licence.svg"] = web.StoryFile{ContentType: storySVG, Data: preview}
	})
}

func (s *story) File(_ context.Context, id, name string) (web.StoryFile, error) {
	r, err := s.run(id)
	if err != nil {
		return web.StoryFile{}, err
	}
	f, ok := r.files[name]
	if !ok {
		return f, errNoStory.With("file %q of story %s", name, id)
	}
	return f, nil
}

// State tells what has happened so far. Who is logged in is the sample application's to say.
func (s *story) State(ctx context.Context, id, lang string) (web.StoryState, error) {
	r, err := s.run(id)
	if err != nil {
		return web.StoryState{}, err
	}
	st := web.StoryState{Forged: r.forged, Genuine: r.genuine[lang], Fake: r.fake[lang], Proof: r.proof}
	if v, ok := s.d.hall.Visitor(id); ok {
		st.Citizen = &web.StoryCitizen{Name: v.Name, Level: levelOf(v.ACR)}
		if v.ActFor != nil {
			st.Acting = &web.StoryActing{Name: v.ActFor.Name, USCC: v.ActFor.USCC}
		}
	}
	if r.licence != "" {
		if st.Licence, err = s.licence(ctx, r.licence); err != nil {
			return st, err
		}
	}
	if st.Acting != nil && st.Licence == nil {
		if st.NeedsPIN, err = s.needsPIN(ctx); err != nil {
			return st, err
		}
	}
	s.tell(&st, r)
	return st, nil
}

// needsPIN tells whether issuing asks for the seal's PIN: a visitor may have withdrawn the activation.
func (s *story) needsPIN(ctx context.Context) (bool, error) {
	officer, err := s.d.official(ctx, "liming")
	if err != nil {
		return false, err
	}
	all, err := s.d.seals.Activations(ctx, officer, sampleSeal)
	return !slices.ContainsFunc(all, func(a seal.Activation) bool {
		return a.State == seal.ActivationActive && a.Used < a.Count && a.Until.After(s.d.now()) && slices.Contains(a.Kinds, seal.KindLicence(sampleLicence))
	}), err
}

func (s *story) licence(ctx context.Context, id string) (*web.StoryLicence, error) {
	fields, err := s.fields(ctx, id)
	if err != nil {
		return nil, err
	}
	return &web.StoryLicence{
		ID: id, Title: "营业执照", Issuer: sampleBureau, Seal: sampleBureau, Fields: fields, Preview: "licence.svg", OFD: id + ".ofd",
	}, nil
}

func levelOf(acr string) int {
	level := 0
	_, _ = fmt.Sscanf(strings.TrimPrefix(acr, "urn:hufu:acr:l"), "%d", &level) // an unknown form is level 0
	return level
}

// inSed escapes what a visitor typed for a sed command between the single quotes of a shell.
func inSed(text string) string {
	return strings.NewReplacer(`\`, `\\`, `/`, `\/`, `&`, `\&`, `.`, `\.`, `*`, `\*`, `[`, `\[`, `'`, `'\''`).Replace(text)
}

// tell adds to each step the command line that does the same, and the files it made.
func (s *story) tell(st *web.StoryState, r storyRun) {
	base := s.d.cfg.URL
	st.Steps[web.StoryLogin].Curl = "curl " + base + "/.well-known/openid-configuration"
	token := func(account, capacity string) string {
		return "TOKEN=$(echo " + samplePassword + " | go run ./cmd/hufu token --server " + base + " --account " + account + " --as " + capacity + ")\n"
	}
	st.Steps[web.StoryAct].Curl = token("wangxiaoya", "entity") + `curl -H "Authorization: Bearer $TOKEN" ` + base + "/oauth2/userinfo"
	st.Steps[web.StoryIssue].Curl = token("liming", "official") + `curl -X POST -H "Authorization: Bearer $TOKEN" -H "Content-Type: application/json" -d @order.json ` + base + "/api/v1/licences"
	st.Steps[web.StoryLook].Curl = `curl -o licence.ofd -H "Authorization: Bearer $TOKEN" ` + base + "/api/v1/licences/" + r.licence + "/document"
	was, now := "壹佰万元整", "壹亿元整"
	if r.forged != nil {
		was, now = r.forged.Was, r.forged.Now
	}
	st.Steps[web.StoryForge].Curl = "unzip -q licence.ofd -d copy && sed -i 's/" + inSed(was) + "/" + inSed(now) +
		"/' copy/Doc_0/Pages/Page_0/Content.xml && (cd copy && zip -qr ../forged.ofd .)"
	st.Steps[web.StoryVerify].Curl = "curl -o trust.bundle " + base + "/trust/bundle && go run ./cmd/sealcheck --bundle trust.bundle licence.ofd forged.ofd"
	if r.proof != nil {
		st.Steps[web.StoryProve].Curl = "curl '" + base + "/pki/log/proof?entry=" + r.proof.Entry + "'"
	} else {
		st.Steps[web.StoryProve].Curl = "curl " + base + "/pki/log/checkpoint"
	}
	link := func(step int, name, zh, en string) {
		if _, ok := r.files[name]; ok {
			st.Steps[step].Files = append(st.Steps[step].Files, web.StoryLink{Name: name, Label: fault.Text{ZH: zh, EN: en}})
		}
	}
	link(web.StoryIssue, "order.json", "签发内容", "what was ordered")
	link(web.StoryIssue, r.licence+".ofd", "证照原件（OFD）", "the licence (OFD)")
	link(web.StoryLook, "licence.svg", "证照图样（SVG）", "picture of the licence (SVG)")
	link(web.StoryForge, "forged.ofd", "伪造件（OFD）", "the forged copy (OFD)")
	link(web.StoryVerify, "licence.json", "原件验证报告", "report on the licence")
	link(web.StoryVerify, "forged.json", "伪造件验证报告", "report on the forged copy")
	link(web.StoryProve, "proof.txt", "日志证明", "proof from the log")
}
