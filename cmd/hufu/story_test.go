package main

import (
	"fmt"
	"log/slog"
	"net/http"
	"sync"
	"testing"
	"time"

	"hufu/sandbox"
	"hufu/web"
)

// Two tabs of one browser: a map that is read while it is written would end the whole process, not the request.
func TestAStoryIsReadWhileItIsWritten(t *testing.T) {
	hall, err := sandbox.NewApp(sandbox.Config{
		Issuer: "http://localhost", BaseURL: "http://localhost", ClientID: "c", ClientSecret: "s", HTTP: http.DefaultClient,
		Now: time.Now, Log: slog.New(slog.DiscardHandler),
	})
	if err != nil {
		t.Fatal(err)
	}
	s := newStory(&demo{server: &server{now: time.Now}, hall: hall})
	id, err := s.Start(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	var both sync.WaitGroup
	both.Go(func() {
		for i := range 2000 {
			if err := s.keep(id, func(r *storyRun) { r.files[fmt.Sprint(i%10)] = web.StoryFile{} }); err != nil {
				t.Error(err)
			}
		}
	})
	for range 2 {
		both.Go(func() {
			for range 2000 {
				if _, err := s.State(t.Context(), id, "en"); err != nil {
					t.Error(err)
				}
			}
		})
	}
	both.Wait()
}
