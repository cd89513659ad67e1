package web

import (
	"crypto/sha256"
	"embed"
	"encoding/hex"
	"io/fs"
	"net/http"
	"path"
	"strings"
)

//go:embed assets/*
var assetFiles embed.FS

// asset is a file that never changes under its address, which holds a hash of it.
type asset struct {
	address, contentType string
	data                 []byte
}

// assets are the files by their plain name.
type assets map[string]asset

var contentTypes = map[string]string{
	".css": "text/css; charset=utf-8",
	".svg": "image/svg+xml",
}

func loadAssets() (assets, error) {
	all := assets{}
	entries, err := fs.ReadDir(assetFiles, "assets")
	if err != nil {
		return nil, err
	}
	for _, e := range entries {
		data, err := assetFiles.ReadFile("assets/" + e.Name())
		if err != nil {
			return nil, err
		}
		sum := sha256.Sum256(data)
		ext := path.Ext(e.Name())
		all[e.Name()] = asset{
			address:     "/assets/" + strings.TrimSuffix(e.Name(), ext) + "." + hex.EncodeToString(sum[:6]) + ext,
			contentType: contentTypes[ext], data: data,
		}
	}
	return all, nil
}

func (a assets) url(name string) string { return a[name].address }

// serveAsset serves a file by its hashed address, for ever. An address with another hash is unknown: it is of another
// version of the program.
func (s *Site) serveAsset(w http.ResponseWriter, r *http.Request) {
	for _, a := range s.assets {
		if a.address == r.URL.Path {
			a.serve(w, "public, max-age=31536000, immutable")
			return
		}
	}
	s.showNotFound(w, r)
}

// serveIcon serves the icon where browsers look for it unasked.
func (s *Site) serveIcon(w http.ResponseWriter, _ *http.Request) {
	s.assets["icon.svg"].serve(w, "public, max-age=86400")
}

func (a asset) serve(w http.ResponseWriter, cache string) {
	h := w.Header()
	h.Del("Vary")
	h.Set("Content-Type", a.contentType)
	h.Set("Cache-Control", cache)
	_, _ = w.Write(a.data)
}
