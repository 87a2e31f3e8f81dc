package deploycheck

import (
	"os"
	"path/filepath"
	"slices"
	"testing"

	"github.com/compose-spec/compose-go/v2/types"
)

// TestVolumesBelongToTheImagesUser: a volume of ours is mounted where the image has a folder of its user's, else the node
// cannot write to it.
func TestVolumesBelongToTheImagesUser(t *testing.T) {
	image, err := ReadDockerfile(filepath.Join(root, "deploy", "Dockerfile"))
	if err != nil {
		t.Fatal(err)
	}
	if image.User == "" || image.User == "root" {
		t.Errorf("the image runs as %q", image.User)
	}
	mounted := 0
	for _, file := range compose {
		p, err := ReadCompose(t.Context(), file)
		if err != nil {
			t.Fatal(err)
		}
		for name, s := range p.Services {
			for _, v := range s.Volumes {
				if s.Image != "paceline" || v.Type != types.VolumeTypeVolume {
					continue
				}
				mounted++
				if !image.Owns(v.Target) {
					t.Errorf("%s: %s mounts %s, which the image does not make for its user: %v", filepath.Base(file), name, v.Target, image.Folders)
				}
			}
		}
	}
	if mounted != 4 {
		t.Errorf("%d volumes, want one of each node", mounted)
	}
}

// TestReadDockerfile: whose folders they are, and that nothing counts of other stages or after a volume was declared.
func TestReadDockerfile(t *testing.T) {
	for name, tc := range map[string]struct {
		text string
		want []string
	}{
		"a home":               {"FROM a\nRUN useradd --system --create-home --home-dir /data who\nUSER who\nVOLUME /data\n", []string{"/data"}},
		"no home is made":      {"FROM a\nRUN useradd --home-dir /data who\nUSER who\n", nil},
		"a folder":             {"FROM a\nRUN useradd who && \\\n  install -d -o who /data /data/keys\nUSER who\n", []string{"/data", "/data/keys"}},
		"a folder of root's":   {"FROM a\nRUN install -d /data/keys\nUSER who\n", nil},
		"somebody else's":      {"FROM a\nRUN install -d -o other /data/keys\nUSER who\n", nil},
		"after the volume":     {"FROM a\nVOLUME /data\nRUN install -d -o who /data/keys\nUSER who\n", nil},
		"of the stage before":  {"FROM a\nRUN install -d -o who /data/keys\nFROM b\nUSER who\n", nil},
		"the user is not told": {"FROM a\nRUN install -d -o who /data/keys\n", nil},
	} {
		file := filepath.Join(t.TempDir(), "Dockerfile")
		if err := os.WriteFile(file, []byte(tc.text), 0o600); err != nil {
			t.Fatal(err)
		}
		image, err := ReadDockerfile(file)
		if err != nil || !slices.Equal(image.Folders, tc.want) {
			t.Errorf("%s: %v, %v, want %v", name, image.Folders, err, tc.want)
		}
	}
}
