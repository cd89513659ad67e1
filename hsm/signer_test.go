package hsm

import (
	"context"
	"crypto"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"hufu/internal/gm"
)

// A signer under a context without an end, and a device that never answers but honours contexts: the caller gets away in time.
func TestASignatureHasADeadlineOfItsOwn(t *testing.T) {
	key, err := gm.GenerateKey()
	if err != nil {
		t.Fatal(err)
	}
	synctest.Test(t, func(t *testing.T) {
		hang := func(ctx context.Context) ([]byte, error) {
			<-ctx.Done()
			return nil, ErrUnavailable.With("%w", ctx.Err())
		}
		began := time.Now()
		s := new(Signers).NewSigner(context.Background(), "k", key.Public(), func(ctx context.Context, _ []byte, _ crypto.SignerOpts) ([]byte, error) { return hang(ctx) })
		if _, err := s.Sign(nil, make([]byte, 32), gm.Digest); !errors.Is(err, ErrUnavailable) || time.Since(began) != OperationTime {
			t.Errorf("sign: %v after %s", err, time.Since(began))
		}
		began = time.Now()
		d := NewDecrypter(context.Background(), "k", key.Public(), func(ctx context.Context, _ []byte) ([]byte, error) { return hang(ctx) })
		if _, err := d.Decrypt(nil, []byte{1}, nil); !errors.Is(err, ErrUnavailable) || time.Since(began) != OperationTime {
			t.Errorf("decrypt: %v after %s", err, time.Since(began))
		}
	})
}
