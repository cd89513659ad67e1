package web

import "net/http"

// homeView is the plain home page.
type homeView struct{ frame }

// showHome shows the story where there is one.
func (s *Site) showHome(w http.ResponseWriter, r *http.Request) {
	if s.Story != nil {
		s.showStory(w, r)
		return
	}
	v := &homeView{s.frame(r, s.Name)}
	v.Wide = true
	s.show(w, r, "home", v)
}
