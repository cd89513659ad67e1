package web

import "hufu/seal/check"

// The views of the pieces that the templates of report and story are made of. Each carries the frame, so that it speaks
// the language of the page.

type signaturePart struct {
	frame
	Signature check.Signature
}

// Part returns the view of one signature.
func (f frame) Part(s check.Signature) signaturePart { return signaturePart{f, s} }

type stopPart struct {
	frame
	Stop railStop
}

// Stop returns the view of a step's head.
func (f frame) Stop(s railStop) stopPart { return stopPart{f, s} }

type madePart struct {
	frame
	Made StoryStep
}

// Made returns the view of what a step made.
func (v *storyView) Made(step int) madePart { return madePart{v.frame, v.Rail[step].Step} }

type exhibitPart struct {
	frame
	Label        string
	Report       *reportView
	Preview, OFD string
	JSON         string
}

// Exhibit returns the licence or the forged copy, to be shown beside the other. Both exist.
func (v *storyView) Exhibit(genuine bool) exhibitPart {
	if genuine {
		e := exhibitPart{frame: v.frame, Label: v.T("原件", "The licence"), Report: v.Genuine, Preview: v.Licence.Preview, OFD: v.Licence.OFD}
		if v.StoryState.Genuine != nil {
			e.JSON = v.StoryState.Genuine.JSON
		}
		return e
	}
	e := exhibitPart{frame: v.frame, Label: v.T("伪造件", "The forged copy"), Report: v.Fake, Preview: v.Forged.Preview, OFD: v.Forged.OFD}
	if v.StoryState.Fake != nil {
		e.JSON = v.StoryState.Fake.JSON
	}
	return e
}

// ForgeField is the field that the form proposes to edit: the one edited last, else the first with a proposal.
func (v *storyView) ForgeField() string {
	if v.Forged != nil {
		return v.Forged.Field
	}
	for _, f := range v.Licence.Fields {
		if f.Forgery != "" {
			return f.Name
		}
	}
	return ""
}

// ForgeValue is what it proposes to write.
func (v *storyView) ForgeValue() string {
	if v.Forged != nil {
		return v.Forged.Now
	}
	for _, f := range v.Licence.Fields {
		if f.Forgery != "" {
			return f.Forgery
		}
	}
	return ""
}
