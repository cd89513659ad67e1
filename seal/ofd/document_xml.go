package ofd

import (
	"fmt"
	"strings"
)

func (d *Document) ofdXML() []byte {
	var b strings.Builder
	b.WriteString(xmlHead + `<ofd:OFD xmlns:ofd="` + Namespace + `" Version="1.0" DocType="OFD"><ofd:DocBody><ofd:DocInfo>`)
	el := func(name, v string) {
		if v != "" {
			fmt.Fprintf(&b, "<ofd:%[1]s>%[2]s</ofd:%[1]s>", name, esc(v))
		}
	}
	el("DocID", d.info.DocID)
	el("Title", d.info.Title)
	el("Author", d.info.Author)
	el("Subject", d.info.Subject)
	el("CreationDate", d.info.Created.UTC().Format("2006-01-02"))
	el("Creator", d.info.Creator)
	el("CreatorVersion", d.info.Version)
	if len(d.info.Custom) > 0 {
		b.WriteString("<ofd:CustomDatas>")
		for _, p := range d.info.Custom {
			fmt.Fprintf(&b, `<ofd:CustomData Name="%s">%s</ofd:CustomData>`, esc(p.Name), esc(p.Value))
		}
		b.WriteString("</ofd:CustomDatas>")
	}
	b.WriteString(`</ofd:DocInfo><ofd:DocRoot>Doc_0/Document.xml</ofd:DocRoot></ofd:DocBody></ofd:OFD>`)
	return []byte(b.String())
}

func (d *Document) documentXML() []byte {
	var b strings.Builder
	first := d.pages[0]
	fmt.Fprintf(&b, xmlHead+`<ofd:Document xmlns:ofd="`+Namespace+`"><ofd:CommonData><ofd:MaxUnitID>%d</ofd:MaxUnitID>`, d.last)
	fmt.Fprintf(&b, `<ofd:PageArea><ofd:PhysicalBox>0 0 %s %s</ofd:PhysicalBox></ofd:PageArea>`, num(first.w), num(first.h))
	b.WriteString(`<ofd:PublicRes>PublicRes.xml</ofd:PublicRes>`)
	if len(d.images) > 0 {
		b.WriteString(`<ofd:DocumentRes>DocumentRes.xml</ofd:DocumentRes>`)
	}
	for i, t := range d.templates {
		fmt.Fprintf(&b, `<ofd:TemplatePage ID="%d" BaseLoc="Tpls/Tpl_%d/Content.xml"/>`, t.id, i)
	}
	b.WriteString(`</ofd:CommonData><ofd:Pages>`)
	for i, p := range d.pages {
		fmt.Fprintf(&b, `<ofd:Page ID="%d" BaseLoc="Pages/Page_%d/Content.xml"/>`, p.id, i)
	}
	b.WriteString(`</ofd:Pages>`)
	if len(d.tags) > 0 {
		b.WriteString(`<ofd:CustomTags>Tags/CustomTags.xml</ofd:CustomTags>`)
	}
	if len(d.attachments) > 0 {
		b.WriteString(`<ofd:Attachments>Attachs/Attachments.xml</ofd:Attachments>`)
	}
	b.WriteString(`</ofd:Document>`)
	return []byte(b.String())
}

func (d *Document) fontsXML() []byte {
	var b strings.Builder
	b.WriteString(xmlHead + `<ofd:Res xmlns:ofd="` + Namespace + `" BaseLoc="Res"><ofd:Fonts>`)
	for _, r := range d.fonts {
		fmt.Fprintf(&b, `<ofd:Font ID="%d" FontName="%s"`, r.id, esc(r.font.Name))
		if r.font.Family != "" {
			fmt.Fprintf(&b, ` FamilyName="%s"`, esc(r.font.Family))
		}
		if r.font.Bold {
			b.WriteString(` Bold="true"`)
		}
		if r.font.Serif {
			b.WriteString(` Serif="true"`)
		}
		if r.file == "" {
			b.WriteString(`/>`)
			continue
		}
		fmt.Fprintf(&b, `><ofd:FontFile>%s</ofd:FontFile></ofd:Font>`, r.file)
	}
	b.WriteString(`</ofd:Fonts></ofd:Res>`)
	return []byte(b.String())
}

func (d *Document) imagesXML() []byte {
	var b strings.Builder
	b.WriteString(xmlHead + `<ofd:Res xmlns:ofd="` + Namespace + `" BaseLoc="Res"><ofd:MultiMedias>`)
	for _, r := range d.images {
		fmt.Fprintf(&b, `<ofd:MultiMedia ID="%d" Type="Image" Format="%s"><ofd:MediaFile>%s</ofd:MediaFile></ofd:MultiMedia>`, r.id, r.kind, r.file)
	}
	b.WriteString(`</ofd:MultiMedias></ofd:Res>`)
	return []byte(b.String())
}

func (d *Document) attachmentsXML() []byte {
	var b strings.Builder
	b.WriteString(xmlHead + `<ofd:Attachments xmlns:ofd="` + Namespace + `">`)
	for i, a := range d.attachments {
		fmt.Fprintf(&b, `<ofd:Attachment ID="a%d" Name="%s" Format="%s" Visible="%t" Size="%s"><ofd:FileLoc>%s</ofd:FileLoc></ofd:Attachment>`,
			i+1, esc(a.name), esc(a.format), a.visible, num(float64(len(a.data))/1024), esc(a.file))
	}
	b.WriteString(`</ofd:Attachments>`)
	return []byte(b.String())
}

func (d *Document) tagsXML() []byte {
	var b strings.Builder
	b.WriteString(xmlHead + `<ofd:CustomTags xmlns:ofd="` + Namespace + `">`)
	for i, t := range d.tags {
		fmt.Fprintf(&b, `<ofd:CustomTag NameSpace="%s"><ofd:FileLoc>CustomTag_%d.xml</ofd:FileLoc></ofd:CustomTag>`, esc(t.space), i)
	}
	b.WriteString(`</ofd:CustomTags>`)
	return []byte(b.String())
}

func (t newTag) xml() []byte {
	var b strings.Builder
	fmt.Fprintf(&b, xmlHead+`<%s xmlns="%s" xmlns:ofd="%s">`, t.root, esc(t.space), Namespace)
	for _, it := range t.items {
		fmt.Fprintf(&b, `<field name="%s">`, esc(it.Name))
		for _, o := range it.Objects {
			fmt.Fprintf(&b, `<ofd:ObjectRef PageRef="%d">%d</ofd:ObjectRef>`, o.page.id, o.ID)
		}
		b.WriteString(`</field>`)
	}
	fmt.Fprintf(&b, `</%s>`, t.root)
	return []byte(b.String())
}
