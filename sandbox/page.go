package sandbox

import (
	"bytes"
	"crypto/sha256"
	"embed"
	"encoding/base64"
	"errors"
	"fmt"
	"html/template"
	"net/http"
	"net/url"
	"strings"
	"time"

	"hufu/internal/fault"
)

//go:embed pages
var pageFiles embed.FS

// asset is a file that pages load, named with its hash so that browsers may keep it.
type asset struct {
	body []byte
	url  string
}

func (a asset) serve(w http.ResponseWriter, _ *http.Request) {
	w.Header().Set("Content-Type", "text/css; charset=utf-8")
	w.Header().Set("Cache-Control", "public, max-age=86400")
	_, _ = w.Write(a.body)
}

func loadPages() (*template.Template, asset, error) {
	pages, err := template.ParseFS(pageFiles, "pages/*.html")
	if err != nil {
		return nil, asset{}, fmt.Errorf("parse templates: %w", err)
	}
	style, err := pageFiles.ReadFile("pages/hall.css")
	if err != nil {
		return nil, asset{}, err
	}
	sum := sha256.Sum256(style)
	return pages, asset{style, Home + "hall.css?v=" + base64.RawURLEncoding.EncodeToString(sum[:9])}, nil
}

// The languages of the pages, and the cookie that keeps the choice. The platform's own cookie of the same host is honoured
// too, so that a visitor who chose there need not choose again.
const (
	zh             = "zh-CN"
	en             = "en"
	languageCookie = "sample-lang"
	platformCookie = "hufu-lang"
)

func (a *App) language(r *http.Request) string {
	wishes := []string{r.URL.Query().Get("lang"), cookie(r, languageCookie), cookie(r, platformCookie)}
	for tag := range strings.SplitSeq(r.Header.Get("Accept-Language"), ",") {
		wishes = append(wishes, tag)
	}
	for _, wish := range wishes {
		switch wish = strings.ToLower(strings.TrimSpace(wish)); {
		case strings.HasPrefix(wish, "zh"):
			return zh
		case strings.HasPrefix(wish, "en"):
			return en
		}
	}
	return zh
}

func (a *App) rememberLanguage(w http.ResponseWriter, r *http.Request) {
	if r.URL.Query().Get("lang") != "" {
		a.setCookie(w, languageCookie, a.language(r), 365*24*time.Hour)
	}
}

// frame is what every page has.
type frame struct {
	Lang, Other        string // this language, and the other one
	Style              string
	HallURL, LoginURL  string
	LangURL, StoryPath string
	Story              bool // the page belongs to a guided story
}

// T returns the text in the language of the page.
func (f frame) T(chinese, english string) string {
	if f.Lang == en {
		return english
	}
	return chinese
}

func (a *App) frame(r *http.Request, story string) frame {
	f := frame{
		Lang: a.language(r), Other: en, Style: a.style.url, StoryPath: a.config.StoryPath, Story: story != "",
		HallURL: inStory(Home, story), LoginURL: inStory(Home+"login", story),
	}
	if f.Lang == en {
		f.Other = zh
	}
	q := url.Values{"lang": {f.Other}}
	if story != "" {
		q.Set("story", story)
	}
	f.LangURL = Home + "?" + q.Encode()
	return f
}

// hallView is the service hall.
type hallView struct {
	frame
	Issuer, ClientID string
	Visitor          *Visitor // nil when nobody is logged in
	Mine             bool     // the visit belongs to this story, or to none
	Level, Relation  string
	Means            string
	Alg, KeyID       string
	ClaimsText       string
	Services         []serviceView
}

// serviceView is one of the services that the hall would offer. Which are open shows what the log-in is good for.
type serviceView struct {
	Title, Detail, Who string
	Open               bool
}

func (a *App) showHall(w http.ResponseWriter, r *http.Request) {
	page := &hallView{frame: a.frame(r, story(r)), Issuer: a.config.Issuer, ClientID: a.config.ClientID}
	if v, ok := a.visits.get(cookie(r, visitCookie), a.config.Now()); ok {
		who := v.visitor()
		page.Visitor, page.Mine = &who, story(r) == "" || v.story == story(r)
		page.Level, page.Means = page.level(v.ACR), page.means(v.AMR)
		page.Alg, page.KeyID, page.ClaimsText = v.Alg, v.KeyID, string(v.Claims)
		if v.ActFor != nil {
			page.Relation = page.relation(v.ActFor.Relation)
		}
	}
	page.Services = page.services()
	a.show(w, r, http.StatusOK, "hall", page)
}

func (f frame) level(acr string) string {
	switch strings.TrimPrefix(acr, "urn:hufu:acr:") {
	case "l1":
		return f.T("一级，已登记", "1, registered")
	case "l2":
		return f.T("二级，实名", "2, real name")
	case "l3":
		return f.T("三级，实人", "3, real person")
	case "l4":
		return f.T("四级，现场核验或数字证书", "4, in person or by certificate")
	}
	return acr
}

func (f frame) means(amr []string) string {
	names := map[string]string{
		"pwd": f.T("密码", "password"), "otp": f.T("动态口令", "one-time code"), "sms": f.T("短信验证码", "SMS code"),
		"hwk": f.T("硬件密钥", "hardware key"), "sc": f.T("智能密码钥匙", "smart card"), "face": f.T("人脸", "face"),
	}
	var list []string
	for _, m := range amr {
		if name := names[m]; name != "" {
			m = name
		}
		list = append(list, m)
	}
	return strings.Join(list, f.T("、", ", "))
}

func (f frame) relation(r string) string {
	switch r {
	case "legal_rep":
		return f.T("法定代表人", "legal representative")
	case "agent":
		return f.T("经办人", "agent")
	}
	return r
}

func (p *hallView) services() []serviceView {
	kind := ""
	if p.Visitor != nil {
		kind = p.Visitor.SubjectKind
	}
	return []serviceView{
		{
			p.T("营业执照", "Business licence"), p.T("设立和变更登记，办结后发给电子证照。", "Registration and change; issued as an electronic licence."),
			p.T("以单位身份办理", "For an organisation"), kind == "entity",
		},
		{
			p.T("参保证明", "Proof of social insurance"), p.T("查询并下载本人的参保缴费证明。", "Look up and download your own record."),
			p.T("以个人身份办理", "For yourself"), kind == "person",
		},
		{
			p.T("受理与审批", "Applications to decide"), p.T("受理本部门的申请，签发电子证照。", "Decide your department's applications and issue licences."),
			p.T("以公务身份办理", "In office"), kind == "official",
		},
	}
}

// problemView is the page for a failure.
type problemView struct {
	frame
	Text string
	Code string
}

var statuses = map[fault.Kind]int{
	fault.Invalid: http.StatusBadRequest, fault.Denied: http.StatusForbidden, fault.NotFound: http.StatusNotFound,
	fault.Unavailable: http.StatusServiceUnavailable,
}

func (a *App) showProblem(w http.ResponseWriter, r *http.Request, story string, err error) {
	page := &problemView{frame: a.frame(r, story)}
	refusal, ok := errors.AsType[*fault.Error](err)
	if !ok {
		refusal = ErrProvider
	}
	status := statuses[refusal.Kind]
	if status == 0 {
		status = http.StatusInternalServerError
	}
	page.Text, page.Code = page.T(refusal.Text.ZH, refusal.Text.EN), refusal.Code
	a.show(w, r, status, "problem", page)
}

// show executes the page into memory; nothing is sent of a page that fails.
func (a *App) show(w http.ResponseWriter, r *http.Request, status int, name string, view any) {
	var body bytes.Buffer
	if err := a.pages.ExecuteTemplate(&body, name, view); err != nil {
		a.config.Log.ErrorContext(r.Context(), "sample application", "page", name, "cause", err.Error())
		http.Error(w, "页面暂时无法显示，请稍后重试。 This page cannot be shown at the moment. Try again later.", http.StatusInternalServerError)
		return
	}
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	w.WriteHeader(status)
	_, _ = body.WriteTo(w)
}
