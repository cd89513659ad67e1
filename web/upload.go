package web

import (
	"errors"
	"io"
	"mime/multipart"
	"net/http"
	"path"
	"strings"
	"sync"
	"time"
	"unicode/utf8"
)

// gate counts the uploads that are being read or checked.
type gate struct {
	mu  sync.Mutex // guards the rest
	all int
	by  map[string]int // address → uploads, none zero
}

// enter lets one more upload in, unless there are too many; call leave when it is done with.
func (g *gate) enter(address string) (leave func(), ok bool) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.all >= maxUploads || g.by[address] >= maxAddress {
		return nil, false
	}
	if g.by == nil {
		g.by = map[string]int{}
	}
	g.all++
	g.by[address]++
	return func() {
		g.mu.Lock()
		defer g.mu.Unlock()
		g.all--
		if g.by[address]--; g.by[address] == 0 {
			delete(g.by, address)
		}
	}, true
}

// upload is what came.
type upload struct {
	name         string
	file, bundle []byte
	text         string // of a QR code
}

// readUpload reads the parts into memory; no temporary file is written.
func readUpload(w http.ResponseWriter, r *http.Request) (u upload, err error) {
	control := http.NewResponseController(w)
	if err := control.SetReadDeadline(time.Now().Add(uploadTime)); err != nil && !errors.Is(err, http.ErrNotSupported) {
		return u, err
	}
	r.Body = http.MaxBytesReader(w, r.Body, maxUpload+maxBundle+(64<<10))
	parts, err := r.MultipartReader()
	if err != nil {
		return u, err
	}
	for {
		part, err := parts.NextPart()
		if errors.Is(err, io.EOF) {
			return u, nil
		}
		if err != nil {
			return u, large(err)
		}
		switch part.FormName() {
		case "file":
			u.name = fileName(part.FileName())
			u.file, err = readPart(part, maxUpload)
		case "bundle":
			u.bundle, err = readPart(part, maxBundle)
		case "text":
			var text []byte
			text, err = readPart(part, maxText)
			u.text = strings.TrimSpace(string(text))
		}
		if err != nil {
			return u, err
		}
	}
}

func readPart(part *multipart.Part, most int64) ([]byte, error) {
	data, err := io.ReadAll(io.LimitReader(part, most+1))
	if err != nil {
		return nil, large(err)
	}
	if int64(len(data)) > most {
		return nil, errUploadLarge
	}
	if len(data) == 0 {
		return nil, nil
	}
	return data, nil
}

func large(err error) error {
	if _, ok := errors.AsType[*http.MaxBytesError](err); ok {
		return errUploadLarge
	}
	return err
}

// fileName keeps the last part of the name that the browser gave, for showing.
func fileName(name string) string {
	name = path.Base(strings.ReplaceAll(strings.ToValidUTF8(name, ""), `\`, "/"))
	name = strings.Map(func(c rune) rune {
		if c < ' ' || c == 0x7f {
			return -1
		}
		return c
	}, name)
	for len(name) > 200 {
		_, size := utf8.DecodeLastRuneInString(name)
		name = name[:len(name)-size]
	}
	if name == "" || name == "." || name == "/" {
		return "file"
	}
	return name
}
