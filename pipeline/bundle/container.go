package bundle

import (
	"archive/zip"
	"bytes"
	"io"
	"time"
)

// header is the one that every file of a bundle has: two exports of the same state are the same bytes, and a byte of
// the container that differs was changed by somebody. Files are stored, not deflated: samples are compressed already,
// and the last byte of a deflated file has bits that say nothing.
func header(name string) *zip.FileHeader {
	return &zip.FileHeader{Name: name, Method: zip.Store, Modified: time.Date(2000, 1, 1, 0, 0, 0, 0, time.UTC)}
}

// checkContainer builds the zip again around the packed files, with the headers that Write gives them, and compares
// every byte: no digest covers times, flags and local headers.
func checkContainer(z *zip.Reader, r io.ReaderAt, size int64) error {
	same := &comparing{r: r, size: size}
	w := zip.NewWriter(same)
	for _, f := range z.File {
		h, err := written(f.Name)
		if err != nil {
			return err
		}
		h.CRC32, h.CompressedSize64, h.UncompressedSize64 = f.CRC32, f.CompressedSize64, f.UncompressedSize64
		packed, err := f.OpenRaw()
		if err != nil {
			return ErrAltered.With("%s: %v", f.Name, err)
		}
		to, err := w.CreateRaw(h)
		if err == nil {
			_, err = io.Copy(to, packed)
		}
		if err != nil {
			return ErrAltered.With("the zip around %s: %v", f.Name, err)
		}
	}
	if err := w.Close(); err != nil {
		return ErrAltered.With("the zip's directory: %v", err)
	}
	if same.at != size {
		return ErrAltered.With("%d bytes that belong to no file", size-same.at)
	}
	return nil
}

// written is the header as it reads once a file of that name has been written.
func written(name string) (*zip.FileHeader, error) {
	var b bytes.Buffer
	w := zip.NewWriter(&b)
	if _, err := w.CreateHeader(header(name)); err != nil {
		return nil, err
	}
	if err := w.Close(); err != nil {
		return nil, err
	}
	z, err := zip.NewReader(bytes.NewReader(b.Bytes()), int64(b.Len()))
	if err != nil {
		return nil, err
	}
	return &z.File[0].FileHeader, nil
}

// comparing takes what is written only if it is what the file holds there.
type comparing struct {
	r    io.ReaderAt
	at   int64
	size int64
}

func (c *comparing) Write(p []byte) (int, error) {
	there := make([]byte, len(p))
	if n, err := c.r.ReadAt(there, c.at); n < len(p) {
		return 0, err
	}
	if !bytes.Equal(there, p) {
		return 0, ErrAltered.With("bytes %d to %d", c.at, c.at+int64(len(p)))
	}
	c.at += int64(len(p))
	return len(p), nil
}
