package audit

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/http"
	"strings"
)

// Fetch returns a file of a log: "checkpoint", or a tile by its path (tree.Tile.Path). A file that does not exist is fs.ErrNotExist.
type Fetch func(ctx context.Context, path string) ([]byte, error)

// maxFile bounds what is read of one file: a bundle of 256 entries of at most 65,535 bytes.
const maxFile = 17 << 20

// FetchFolder fetches from an exported folder (os.DirFS).
func FetchFolder(folder fs.FS) Fetch {
	return func(_ context.Context, path string) ([]byte, error) { return fs.ReadFile(folder, path) }
}

// FetchHTTP fetches from a running log; base is the address of its log, "https://ca.example.cn/pki/log".
func FetchHTTP(client *http.Client, base string) Fetch {
	return func(ctx context.Context, path string) ([]byte, error) {
		address := strings.TrimRight(base, "/") + "/" + path
		req, err := http.NewRequestWithContext(ctx, http.MethodGet, address, nil)
		if err != nil {
			return nil, err
		}
		resp, err := client.Do(req)
		if err != nil {
			return nil, err
		}
		defer resp.Body.Close()
		switch resp.StatusCode {
		case http.StatusOK:
		case http.StatusNotFound:
			return nil, fmt.Errorf("%s: %w", address, fs.ErrNotExist)
		default:
			return nil, fmt.Errorf("%s: %s", address, resp.Status)
		}
		b, err := io.ReadAll(io.LimitReader(resp.Body, maxFile+1))
		if err == nil && len(b) > maxFile {
			err = errors.New("too large")
		}
		if err != nil {
			return nil, fmt.Errorf("%s: %w", address, err)
		}
		return b, nil
	}
}
