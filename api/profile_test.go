package api_test

import (
	"strings"
	"testing"

	"hufu/configs"
)

func TestAProfileIsImportedByOneAndPublishedByAnother(t *testing.T) {
	each(t, nil, func(w *world) {
		w.must(w.ca.SeedProfiles(w.Context(), system))
		shipped := string(must(configs.Files.ReadFile("profiles/person-sign.yaml")))
		text := strings.Replace(shipped, "days: 1095", "days: 365", 1)
		in := object{"text": text, "dry_run": true}
		for _, who := range []string{"wang", "clerk", "chief", "auditor"} {
			w.post("/api/v1/profiles", who, in).refused(403, "actor.role")
		}
		w.post("/api/v1/profiles", "", in).refused(401, "api.no-token")
		w.post("/api/v1/profiles", "business", object{"text": "name: [", "dry_run": true}).refused(422, "ca.profile")
		var review struct {
			Version       int
			State, Sample string
			TBS           []byte
			Differences   []struct{ Field, Old, New string }
		}
		w.post("/api/v1/profiles", "business", in).into(&review)
		if len(review.Differences) != 1 || review.Differences[0].New != "365" || len(review.TBS) == 0 || !strings.Contains(review.Sample, "张三") {
			t.Errorf("%+v", review)
		}
		w.post("/api/v1/profiles", "business", object{"text": text}).into(&review)
		const path = "/api/v1/profiles/person-sign"
		w.post(path+"/versions/2/publish", "business", nil).refused(403, "actor.same")
		w.post(path+"/versions/2/publish", "clerk", nil).refused(403, "actor.role")
		w.post(path+"/versions/2/publish", "super", nil).ok()
		var got struct {
			Version     int
			Text, State string
			Differences []struct{ Field string }
		}
		w.get(path, "clerk").into(&got)
		if got.Version != 2 || got.Text != text || got.State != "published" {
			t.Errorf("%+v", got)
		}
		w.get(path+"/versions/2?against=1", "auditor").into(&got)
		if len(got.Differences) != 1 {
			t.Errorf("%+v", got)
		}
		w.get(path+"/versions", "wang").refused(403, "actor.role")
		w.post(path+"/versions/2/withdraw", "business", nil).ok()
		w.post(path+"/versions/2/withdraw", "business", nil).refused(409, "ca.profile-state")
		w.get(path, "clerk").refused(422, "ca.unknown-profile")
		var all struct{ Items []struct{ State string } }
		w.get(path+"/versions", "clerk").into(&all)
		if len(all.Items) != 2 || all.Items[0].State != "withdrawn" {
			t.Errorf("%+v", all)
		}
	})
}
