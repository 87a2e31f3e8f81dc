package deploycheck

import (
	"os"
	"slices"
	"strings"
)

// Image is what the last stage of a Dockerfile says of its user and of the folders that it makes for them.
type Image struct {
	User    string
	Folders []string // the user's own, made before a volume is declared: what is done to one later is thrown away
}

// Owns says whether the image makes exactly this folder for its user. A volume that is mounted anywhere else begins as a
// folder of root's: of an image's folder it takes over the owner, of one that is not there it does not.
func (i *Image) Owns(folder string) bool { return slices.Contains(i.Folders, folder) }

// ReadDockerfile understands two ways to make a folder for somebody, and takes no notice of others: useradd --create-home
// --home-dir, and install -d -o.
func ReadDockerfile(file string) (*Image, error) {
	b, err := os.ReadFile(file)
	if err != nil {
		return nil, err
	}
	image, folders, declared := &Image{}, map[string][]string{}, false
	text := strings.ReplaceAll(string(b), "\\\n", " ")
	for line := range strings.Lines(text) {
		what, rest, _ := strings.Cut(strings.TrimSpace(line), " ")
		switch {
		case what == "FROM":
			image, folders, declared = &Image{}, map[string][]string{}, false
		case what == "USER":
			image.User = strings.TrimSpace(rest)
		case what == "VOLUME":
			declared = true
		case what == "RUN" && !declared:
			for one := range strings.SplitSeq(rest, "&&") {
				if who, made := makes(strings.Fields(one)); who != "" {
					folders[who] = append(folders[who], made...)
				}
			}
		}
	}
	image.Folders = folders[image.User]
	return image, nil
}

// makes is whose folders a command makes.
func makes(words []string) (who string, folders []string) {
	if len(words) == 0 {
		return "", nil
	}
	has := func(flag string) bool { return slices.Contains(words, flag) }
	after := func(flag string) string {
		if i := slices.Index(words, flag); i >= 0 && i+1 < len(words) {
			return words[i+1]
		}
		return ""
	}
	switch words[0] {
	case "useradd":
		if home := after("--home-dir"); home != "" && has("--create-home") {
			return words[len(words)-1], []string{home}
		}
	case "install":
		if has("-d") {
			for _, w := range words[1:] {
				if strings.HasPrefix(w, "/") {
					folders = append(folders, w)
				}
			}
			return after("-o"), folders
		}
	}
	return "", nil
}
