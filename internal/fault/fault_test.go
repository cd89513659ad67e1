package fault

import (
	"errors"
	"fmt"
	"io"
	"testing"
)

func TestErrorKeepsBothAudiencesApart(t *testing.T) {
	missing := New(NotFound, "seal.unknown", "No such seal. Check the seal code.", "没有这枚印章。请核对印章编码。")
	err := fmt.Errorf("use seal: %w", missing.With("seal %q: %w", "33010000000001", io.EOF))

	if KindOf(err) != NotFound {
		t.Errorf("kind = %v, want not-found", KindOf(err))
	}
	text, ok := TextOf(err)
	if !ok || text != missing.Text {
		t.Errorf("text = %v, %v; the detail must not be part of it", text, ok)
	}
	if !errors.Is(err, missing) || !errors.Is(err, io.EOF) {
		t.Error("neither sentinel nor cause may be lost")
	}
	if want := `use seal: seal "33010000000001": EOF: No such seal. Check the seal code.`; err.Error() != want {
		t.Errorf("error = %q, want %q", err, want)
	}
	if missing.Detail != "" {
		t.Error("With changed the sentinel")
	}
}

func TestUnknownErrorsAreInternalAndHaveNoText(t *testing.T) {
	if KindOf(io.EOF) != Internal || KindOf(nil) != Internal {
		t.Error("an error without a kind must be internal")
	}
	if _, ok := TextOf(New(Internal, "x", "secret", "秘密")); ok {
		t.Error("an internal error offered its text")
	}
	if Kind(99).String() != "internal" {
		t.Error("an unknown kind must read as internal")
	}
}
