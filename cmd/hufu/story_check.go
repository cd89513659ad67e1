package main

import (
	"context"
	"errors"
	"fmt"

	"hufu/licence"
	"hufu/sandbox"
	"hufu/seal/check"
	"hufu/web"
)

// maxForgery bounds what a visitor may write into the forged copy, in characters.
const maxForgery = 60

// Forge edits the printed text of one field, as somebody without the key would.
func (s *story) Forge(_ context.Context, id, field, value string) error {
	r, err := s.run(id)
	if err != nil {
		return err
	}
	if r.licence == "" {
		return errStoryOrder.With("no licence yet in story %s", id)
	}
	genuine := r.files[r.licence+".ofd"].Data
	if n := len([]rune(value)); n == 0 || n > maxForgery {
		return licence.ErrField.With("forged value of %d characters", n)
	}
	forged, err := sandbox.Forge(genuine, field, value)
	if err != nil {
		return err
	}
	preview, err := licence.Preview(forged)
	if err != nil {
		return err
	}
	was, err := s.field(r.licence, field)
	if err != nil {
		return err
	}
	return s.keep(id, func(r *storyRun) {
		r.forged = &web.StoryForgery{Field: field, Label: was.Label, Was: was.Value, Now: value, Preview: "forged.svg", OFD: "forged.ofd"}
		r.files["forged.ofd"] = web.StoryFile{ContentType: storyOFD, Data: forged}
		r.files["forged.svg"] = web.StoryFile{ContentType: storySVG, Data: preview}
		r.genuine, r.fake = nil, nil
	})
}

func (s *story) field(id, name string) (web.StoryField, error) {
	fields, err := s.fields(context.Background(), id)
	for _, f := range fields {
		if f.Name == name {
			return f, nil
		}
	}
	return web.StoryField{}, errors.Join(err, licence.ErrField.With("field %q", name))
}

// forgeries are what the page proposes to write, the first one foremost.
var forgeries = []struct{ field, value string }{
	{"capital", "壹亿元整"}, {"legal_representative", "张三"}, {"kind", "股份有限公司"}, {"address", "示例省示例市金融大道1号"},
}

func (s *story) fields(ctx context.Context, id string) (out []web.StoryField, err error) {
	officer, err := s.d.official(ctx, "liming")
	if err != nil {
		return nil, err
	}
	l, err := s.d.licences.Get(ctx, officer, id)
	for _, forgery := range forgeries {
		for _, f := range l.Data.Fields {
			if f.Name == forgery.field {
				out = append(out, web.StoryField{Name: f.Name, Label: f.Label, Value: f.Printed(), Forgery: forgery.value})
			}
		}
	}
	return out, err
}

// Verify judges both files with the published trust bundle alone.
func (s *story) Verify(ctx context.Context, id string) error {
	r, err := s.run(id)
	if err != nil {
		return err
	}
	if r.forged == nil {
		return errStoryOrder.With("nothing was forged in story %s", id)
	}
	made := map[string]web.StoryFile{}
	genuine, err := s.judge(ctx, r.files, made, r.licence+".ofd", "licence.json")
	if err != nil {
		return err
	}
	fake, err := s.judge(ctx, r.files, made, "forged.ofd", "forged.json")
	if err != nil {
		return err
	}
	return s.keep(id, func(r *storyRun) {
		r.genuine, r.fake = genuine, fake
		for name, f := range made {
			r.files[name] = f
		}
	})
}

// judge verifies a file in both languages and puts the Chinese report among the files made.
func (s *story) judge(ctx context.Context, files, made map[string]web.StoryFile, file, report string) (map[string]*web.StoryVerdict, error) {
	out := map[string]*web.StoryVerdict{}
	for _, lang := range []string{"en", "zh"} {
		found, err := verifier{s.d.server}.Verify(ctx, file, files[file].Data, nil, lang)
		if err != nil {
			return nil, err
		}
		text, err := found.JSON()
		if err != nil {
			return nil, err
		}
		made[report] = web.StoryFile{ContentType: "application/json", Data: text}
		out[lang] = &web.StoryVerdict{Report: found, JSON: report}
	}
	return out, nil
}

// Prove fetches the proof that the stamping stands in the log, and checks it as a stranger would.
func (s *story) Prove(ctx context.Context, id string) error {
	r, err := s.run(id)
	if err != nil {
		return err
	}
	if r.licence == "" {
		return errStoryOrder.With("no licence yet in story %s", id)
	}
	officer, err := s.d.official(ctx, "liming")
	if err != nil {
		return err
	}
	l, err := s.d.licences.Get(ctx, officer, r.licence)
	if err != nil {
		return err
	}
	proof, err := s.d.awaitProof(ctx, l.Stamp.Entry)
	if err != nil {
		return err
	}
	seen, err := proof.Verify(s.d.logKey, nil, 0)
	if err != nil {
		return fmt.Errorf("proof of %s: %w", l.Stamp.Entry, err)
	}
	shown := &web.StoryProof{Entry: l.Stamp.Entry, Index: proof.Index, Size: seen.Size, Root: seen.Root.String(), Action: check.LogAction}
	for _, h := range proof.Hashes {
		shown.Path = append(shown.Path, h.String())
	}
	return s.keep(id, func(r *storyRun) {
		r.proof = shown
		r.files["proof.txt"] = web.StoryFile{ContentType: "text/plain; charset=utf-8", Data: proof.Text()}
	})
}
