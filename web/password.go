package web

import (
	"errors"
	"fmt"
	"net/http"

	"hufu/identity/login"
	"hufu/internal/fault"
)

// passwordView is the page for a new password.
type passwordView struct {
	frame
	Action string
	First  bool // somebody else chose the old one: it has to be changed before going on
}

func (s *Site) passwordView(r *http.Request, session *login.Session) *passwordView {
	v := &passwordView{frame: s.frame(r, fault.Text{ZH: "修改密码", EN: "Change the password"}), Action: passwordPath + query(r), First: session.MustChange}
	if v.First {
		v.Title = v.T("请设置您自己的密码", "Choose a password of your own")
	}
	if s.provider != nil && r.FormValue("i") != "" {
		if in, err := s.provider.Interaction(r.Context(), r.FormValue("i"), s.provider.BrowserSecret(r), session); err == nil {
			v.origin = in.RedirectOrigin
		}
	}
	return v
}

func (s *Site) showPassword(w http.ResponseWriter, r *http.Request) {
	if session, ok := s.member(w, r); ok {
		s.show(w, r, "password", s.passwordView(r, session))
	}
}

func (s *Site) doPassword(w http.ResponseWriter, r *http.Request) {
	session, ok := s.member(w, r)
	if !ok {
		return
	}
	v := s.passwordView(r, session)
	old, password := r.PostForm.Get("old"), r.PostForm.Get("new")
	if old == "" {
		v.blame(http.StatusUnprocessableEntity, "old", v.T("请输入当前密码。", "Enter your current password."))
	}
	if password == "" {
		v.blame(http.StatusUnprocessableEntity, "new", v.T("请输入新密码。", "Enter the new password."))
	} else if password != r.PostForm.Get("again") {
		v.blame(http.StatusUnprocessableEntity, "again", v.T("两次输入的新密码不一致，请重新输入。", "The two new passwords differ. Enter them again."))
	}
	if len(v.Faults) > 0 {
		s.show(w, r, "password", v)
		return
	}
	if err := s.Logins.SetPassword(r.Context(), session.Actor(), old, password); err != nil {
		s.refusePassword(w, r, v, err)
		return
	}
	switch q := query(r); {
	case q != "":
		seeOther(w, "/login"+q)
	default:
		seeOther(w, "/account?note=password")
	}
}

// refusePassword shows the form again with the reason beside the field that it is about.
func (s *Site) refusePassword(w http.ResponseWriter, r *http.Request, v *passwordView, err error) {
	text, ok := s.say(r.Context(), v.Lang, err)
	status, field := statuses[fault.KindOf(err)], "old"
	switch {
	case errors.Is(err, login.ErrPassword):
		status, field = http.StatusUnprocessableEntity, "new"
	case errors.Is(err, login.ErrWrong):
		status, text = http.StatusUnprocessableEntity, v.T("当前密码不正确，请重新输入。", "The current password is wrong. Enter it again.")
	case !ok:
		s.fail(w, r, err)
		return
	}
	if seconds, ok := s.retryAfter(err); ok {
		w.Header().Set("Retry-After", fmt.Sprint(seconds))
		text = v.T("尝试次数过多。", "Too many tries. ") + v.wait(seconds)
	}
	v.blame(status, field, text)
	s.show(w, r, "password", v)
}
