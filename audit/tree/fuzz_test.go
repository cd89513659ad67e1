package tree

import (
	"bytes"
	"testing"
	"time"
)

func FuzzParseTile(f *testing.F) {
	for _, s := range []string{"tile/0/000", "tile/0/x001/x234/067.p/8", "tile/entries/000.p/255", "tile/7/999", "tile/-1/000", "tile/0/x000/001", "tile/0/000.p/256", "tile/0/000.p/0", "tile//"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		tile, err := ParseTile(s)
		if err == nil && (tile.Path() != s || tile.Width < 1 || tile.Width > TileWidth) {
			t.Errorf("%q became %+v, %q", s, tile, tile.Path())
		}
	})
}

func TestTilePaths(t *testing.T) {
	for path, want := range map[string]Tile{
		"tile/0/x001/x234/067":     {0, 1234067, 256},
		"tile/0/273.p/112":         {0, 273, 112},
		"tile/entries/x001/000":    {Entries, 1000, 256},
		"tile/entries/000.p/1":     {Entries, 0, 1},
		"tile/2/000.p/1":           {2, 0, 1},
		"tile/1/x999/x999/999.p/9": {1, 999999999, 9},
	} {
		if got, err := ParseTile(path); err != nil || got != want || want.Path() != path {
			t.Errorf("%s: %+v, %v; %s", path, got, err, want.Path())
		}
	}
	for _, bad := range []string{"", "/tile/0/000", "tile/8/000", "tile/00/000", "tile/0/0", "tile/0/x000/000", "tile/0/x001", "tile/0/001/000", "tile/0/000.p/256", "tile/0/000.p/01", "tile/0/000/", "tile/0/../000", "tile/0/x999/x999/x999/x999/x999/x999/999"} {
		if got, err := ParseTile(bad); err == nil {
			t.Errorf("%q became %+v", bad, got)
		}
	}
}

func FuzzSplitEntries(f *testing.F) {
	one, _ := AppendEntry(nil, []byte("entry"))
	f.Add(one)
	f.Add([]byte{0, 0, 0, 1})
	f.Add([]byte{0xff})
	f.Fuzz(func(t *testing.T, b []byte) {
		entries, err := SplitEntries(b, TileWidth)
		if err != nil {
			return
		}
		var back []byte
		for _, e := range entries {
			back, _ = AppendEntry(back, e)
		}
		if !bytes.Equal(back, b) || len(entries) > TileWidth {
			t.Errorf("%x came back as %x", b, back)
		}
	})
}

func TestEntriesLimits(t *testing.T) {
	if _, err := AppendEntry(nil, make([]byte, MaxEntry+1)); err == nil {
		t.Error("an entry whose length does not fit was written")
	}
	full := []byte{}
	for range TileWidth {
		full, _ = AppendEntry(full, []byte("x"))
	}
	if got, err := SplitEntries(full, TileWidth); err != nil || len(got) != TileWidth {
		t.Errorf("full bundle: %d, %v", len(got), err)
	}
	if got, err := SplitEntries(append(full, 0, 0), TileWidth); err == nil || len(got) != TileWidth {
		t.Errorf("a bundle of 257 entries passed: %d", len(got))
	}
	if cut, err := Prefix(full, Tile{Level: Entries, Width: 3}); err != nil || len(cut) != 9 {
		t.Errorf("prefix of three entries: %x, %v", cut, err)
	}
	if _, err := Prefix(make([]byte, 32), Tile{Width: 3}); err == nil {
		t.Error("one hash was taken for three")
	}
}

func FuzzParseCheckpoint(f *testing.F) {
	f.Add(Checkpoint{Origin: "ca.example.cn/log", Head: Head{3, Hash{1}}}.Text())
	f.Add(Checkpoint{Origin: "log", Head: Head{0, EmptyRoot()}, Extensions: []string{"x 1"}}.Text())
	f.Add("log\n01\n" + Hash{}.String() + "\n")
	f.Fuzz(func(t *testing.T, s string) {
		c, err := ParseCheckpoint(s)
		if err == nil && c.Text() != s {
			t.Errorf("%q came back as %q", s, c.Text())
		}
	})
}

func TestCheckpointForms(t *testing.T) {
	root := Hash{1}.String()
	for _, bad := range []string{
		"", "log\n1\n" + root, "log\n01\n" + root + "\n", "log\n-1\n" + root + "\n", "log\n+1\n" + root + "\n", "\n1\n" + root + "\n",
		"log\n1\n" + root[:43] + "\n", "log\n1\n" + root + "\n\n", "lo g\n1\n" + root + "\n", "cosignature/v1\n1\n" + root + "\n",
		"log\n9223372036854775808\n" + root + "\n", "log\n0\n" + root + "\n", "log\n1\n" + root[:42] + "B=\n",
	} {
		if c, err := ParseCheckpoint(bad); err == nil {
			t.Errorf("%q became %+v", bad, c)
		}
	}
}

func FuzzVerifyCheckpoint(f *testing.F) {
	log, w := newParty(f, "log", Log), newParty(f, "w", Witness)
	signed := log.checkpoint(f, 3, 3)
	f.Add(signed)
	f.Add(w.cosign(f, signed, time.Unix(1, 0)))
	f.Fuzz(func(t *testing.T, b []byte) {
		v, err := VerifyCheckpoint(b, log.Key, []*Key{w.Key}, 0)
		if err == nil && v.Head != (Head{3, Hash{3}}) {
			t.Errorf("a checkpoint that was never signed passed: %+v", v)
		}
		if out, err := AddCosignature(signed, b, w.Key); err == nil {
			if _, err := VerifyCheckpoint(out, log.Key, []*Key{w.Key}, 1); err != nil {
				t.Errorf("an added cosignature does not verify: %v", err)
			}
		}
	})
}

func FuzzParseKey(f *testing.F) {
	f.Add(newParty(f, "log", Log).String())
	f.Add(newParty(f, "w", Witness).String())
	f.Add("PeterNeumann+c74f20a3+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW")
	f.Fuzz(func(t *testing.T, s string) {
		k, err := ParseKey(s)
		if err != nil {
			return
		}
		if again, err := ParseKey(k.String()); err != nil || again.String() != k.String() {
			t.Errorf("%q: %v", s, err)
		}
	})
}

func FuzzParseProof(f *testing.F) {
	f.Add(Proof{Entry: []byte("e"), Index: 1, Hashes: []Hash{{1}, {2}}, Checkpoint: []byte("log\n")}.Text())
	f.Add(Proof{}.Text())
	f.Fuzz(func(t *testing.T, b []byte) {
		p, err := ParseProof(b)
		if err == nil && !bytes.Equal(p.Text(), b) {
			t.Errorf("%q came back as %q", b, p.Text())
		}
	})
}
