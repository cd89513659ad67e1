package api

import (
	"context"

	"hufu/internal/actor"
	"hufu/licence"
)

type typeView struct {
	Code    string          `json:"code"`
	Version int             `json:"version"`
	Title   titleView       `json:"title"`
	Holder  string          `json:"holder" doc:"Kind of holder: person or entity"`
	Issuers []string        `json:"issuers,omitempty" doc:"Credit codes of those who may issue it; absent: every organisation"`
	Years   int             `json:"years" doc:"Validity; 0: without end"`
	Show    []string        `json:"show" doc:"Fields that a QR text shows unless the holder chooses others"`
	Fields  []typeFieldView `json:"fields"`
}

type typeFieldView struct {
	Name     string         `json:"name"`
	Label    titleView      `json:"label"`
	Source   licence.Source `json:"source" enum:"data,registry,issue" doc:"data: given in the order"`
	Required bool           `json:"required"`
	Max      int            `json:"max,omitempty" doc:"Characters"`
	Pattern  string         `json:"pattern,omitempty"`
	Format   string         `json:"format,omitempty" doc:"date: 2006-01-02"`
	Hint     *titleView     `json:"hint,omitempty"`
}

func (a *API) listTypes(context.Context, actor.Actor, *struct{}) (*body[page[typeView]], error) {
	return pageOf(a.Licences.Types(), 0, viewType, nil), nil
}

func viewType(t *licence.Type) typeView {
	v := typeView{
		Code: t.Code, Version: t.Version, Title: titleView(t.Title), Holder: string(t.Holder), Issuers: t.Issuers,
		Years: t.Validity.Years, Show: t.Show,
	}
	for _, f := range t.Fields {
		field := typeFieldView{
			Name: f.Name, Label: titleView(f.Label), Source: f.Source, Required: f.Required, Max: f.Max, Pattern: f.Pattern, Format: f.Format,
		}
		if f.Hint != (licence.Title{}) {
			hint := titleView(f.Hint)
			field.Hint = &hint
		}
		v.Fields = append(v.Fields, field)
	}
	return v
}
