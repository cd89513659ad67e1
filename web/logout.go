package web

import (
	"net/http"

	"hufu/internal/fault"
)

// logoutView is both the question whether to log out and the word that it is done.
type logoutView struct {
	frame
	Person string
	Done   bool
}

// showLogout asks; the provider shows the question under its own address too.
func (s *Site) showLogout(w http.ResponseWriter, r *http.Request) {
	session, err := s.session(r)
	if err != nil {
		s.fail(w, r, err)
		return
	}
	if session == nil {
		seeOther(w, "/signedout")
		return
	}
	v := &logoutView{frame: s.frame(r, fault.Text{ZH: "退出登录", EN: "Log out"}), Person: session.Name}
	s.show(w, r, "logout", v)
}

// doLogout ends the session. One that is lost already counts as ended.
func (s *Site) doLogout(w http.ResponseWriter, r *http.Request) {
	if err := s.endSession(w, r); err != nil {
		s.fail(w, r, err)
		return
	}
	seeOther(w, "/signedout")
}

func (s *Site) showLoggedOut(w http.ResponseWriter, r *http.Request) {
	v := &logoutView{frame: s.frame(r, fault.Text{ZH: "您已退出登录", EN: "You have logged out"}), Done: true}
	s.show(w, r, "logout", v)
}
