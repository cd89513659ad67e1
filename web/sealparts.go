package web

import (
	"slices"
	"strings"

	"hufu/internal/actor"
	"hufu/internal/fault"
	"hufu/seal"
)

// kept says how a key is kept, as plainly as it is: most people read the first words only.
func (s *Site) kept(h seal.Held) (word, more fault.Text) {
	switch {
	case h.Inside:
		return fault.Text{ZH: "密码机内生成和使用", EN: "HSM-backed"},
			fault.Text{ZH: "私钥在密码机内生成，每次签名也在密码机内完成，不会出现在服务器内存中。", EN: "The key was made in the device and signs within it. It never is in the server's memory."}
	case s.Hardware:
		return fault.Text{ZH: "由密码机加密保护", EN: "HSM-wrapped"},
			fault.Text{ZH: "私钥由密码机中的主密钥和所有者的口令共同加密保存，仅在每次签名的瞬间于服务器内存中解开。", EN: "The key is stored encrypted, under a master key in the device and the owner's PIN together. It is opened in the server's memory for the moment of each signature."}
	}
	return fault.Text{ZH: "由软件密钥库加密保护（未使用密码机）", EN: "Wrapped by the software key store, no hardware"},
		fault.Text{ZH: "私钥由软件密钥库的主密钥和所有者的口令共同加密保存，仅在每次签名的瞬间于服务器内存中解开。正式使用请接入密码机。", EN: "The key is stored encrypted, under a master key of the software key store and the owner's PIN together, and opened in memory for the moment of each signature. Use a hardware device in production."}
}

// endedShown is how many of the activations that ended the page shows.
const endedShown = 5

func (v *sealView) list(s *Site, by actor.Actor, all []seal.Activation) {
	for _, a := range all {
		row := activationRow{
			ID: a.ID, Count: a.Count, Left: a.Count - a.Used, Until: v.Time(a.Until), Made: v.Time(a.Made),
			State: v.activationState(a.State), Mine: a.By.Person != "" && a.By.Person == by.Subject,
		}
		var names []string
		for _, kind := range a.Kinds {
			names = append(names, v.kindName(s, kind))
		}
		row.Kinds = strings.Join(names, v.T("、", ", "))
		if a.State != seal.ActivationActive || !a.Until.After(s.Now()) {
			if len(v.Ended) < endedShown {
				v.Ended = append(v.Ended, row)
			}
			continue
		}
		v.Activations = append(v.Activations, row)
		v.covered = append(v.covered, a.Kinds...)
	}
	v.NeedsPIN = !slices.Contains(v.covered, seal.KindDocument)
	for _, k := range s.Kinds {
		v.Kinds = append(v.Kinds, kindBox{Value: k.Kind, Label: v.Say(k.Name)})
	}
}

func (f frame) activationState(state string) verdict {
	switch state {
	case seal.ActivationActive:
		return verdict{"yes", "icon-yes", f.T("有效", "Active")}
	case "spent":
		return verdict{"plain", "icon-none", f.T("次数已用完", "Used up")}
	case "withdrawn":
		return verdict{"plain", "icon-none", f.T("已撤回", "Withdrawn")}
	}
	return verdict{"plain", "icon-none", f.T("已到期", "Over")}
}

func (f frame) kindName(s *Site, kind string) string {
	for _, k := range s.Kinds {
		if k.Kind == kind {
			return f.Say(k.Name)
		}
	}
	return kind
}

// pinPart is a field for a PIN. It is never filled in.
type pinPart struct {
	frame
	Name, Label string
	Text, Again string // faults
}

// PIN returns the view of a field for a PIN.
func (v *sealView) PIN(name string) pinPart {
	p := pinPart{frame: v.frame, Name: name, Label: v.T("印章口令（PIN）", "PIN of the seal"), Text: v.Fault(name), Again: v.Fault(name + "-again")}
	switch name {
	case "old-pin":
		p.Label = v.T("当前口令（PIN）", "Current PIN")
	case "new-pin", "make-pin":
		p.Label = v.T("新口令（PIN）", "New PIN")
	}
	return p
}
