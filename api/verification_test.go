package api

import (
	"errors"
	"testing"

	"hufu/internal/fault"
)

// FuzzUpload: whatever is sent is a file, or a refusal that says what is wrong.
func FuzzUpload(f *testing.F) {
	f.Add("multipart/form-data; boundary=b", []byte("--b\r\nContent-Disposition: form-data; name=\"file\"; filename=\"a.ofd\"\r\n\r\nPK\r\n--b--\r\n"))
	f.Add("multipart/form-data", []byte("--\r\n"))
	f.Add("application/json", []byte(`{"name":"a","file":"UEs=","bundle":null}`))
	f.Add("application/octet-stream", []byte("PK"))
	f.Add("text/plain; charset=\"", []byte("CL1:"))
	f.Fuzz(func(t *testing.T, contentType string, data []byte) {
		up, err := readUpload(contentType, &verifyInput{RawBody: data})
		if err == nil && len(up.file)+len(up.bundle) > len(data) {
			t.Errorf("%d octets became %d", len(data), len(up.file)+len(up.bundle))
		}
		if err != nil {
			if _, ok := errors.AsType[*fault.Error](err); !ok {
				t.Errorf("not a refusal: %v", err)
			}
		}
	})
}
