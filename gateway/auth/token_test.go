package auth_test

import (
	"crypto/ed25519"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"paceline/gateway/auth"
)

var noon = time.Date(2026, 6, 1, 12, 0, 0, 0, time.UTC)

func keys(t *testing.T, kid string, development bool) *auth.Keys {
	t.Helper()
	k, err := auth.NewKeys(kid, development, rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return k
}

func TestMintAndVerify(t *testing.T) {
	k := keys(t, "k1", false)
	v := auth.NewVerifier(k, "0.0.0.0:443")
	for _, subject := range []string{"athlete:ann", "device:ann/watch", "operator:ops"} {
		p, err := auth.ParsePrincipal(subject)
		if err != nil {
			t.Fatal(err)
		}
		token, err := k.Mint(auth.Grant{Principal: p, Now: noon, Life: time.Hour})
		if err != nil {
			t.Fatal(err)
		}
		got, until, err := v.Verify(token, noon.Add(time.Minute))
		if err != nil || got != p || !until.Equal(noon.Add(time.Hour)) {
			t.Errorf("Verify(%s) = %v until %v, %v", subject, got, until, err)
		}
	}
	if p, _, err := v.Verify("", noon); err != nil || p.Role != auth.Nobody {
		t.Errorf("Verify(\"\") = %v, %v, want nobody", p, err)
	}
}

// sign makes a token by hand.
func sign(t *testing.T, k *auth.Keys, change func(header, claims map[string]any)) string {
	t.Helper()
	header := map[string]any{"alg": "EdDSA", "typ": "JWT", "kid": k.Keys[0].ID}
	claims := map[string]any{"iss": "paceline", "aud": "paceline", "sub": "athlete:ann", "iat": noon.Unix(), "exp": noon.Add(time.Hour).Unix()}
	change(header, claims)
	h, err := json.Marshal(header)
	if err != nil {
		t.Fatal(err)
	}
	c, err := json.Marshal(claims)
	if err != nil {
		t.Fatal(err)
	}
	enc := base64.RawURLEncoding
	body := enc.EncodeToString(h) + "." + enc.EncodeToString(c)
	switch header["alg"] {
	case "none":
		return body + "."
	case "HS256": // the public key as a secret: the classic confusion
		m := hmac.New(sha256.New, k.Keys[0].Public)
		m.Write([]byte(body))
		return body + "." + enc.EncodeToString(m.Sum(nil))
	}
	return body + "." + enc.EncodeToString(ed25519.Sign(k.Keys[0].Private, []byte(body)))
}

func TestVerifyRefuses(t *testing.T) {
	k := keys(t, "k1", false)
	other := keys(t, "k1", false) // same kid, another key
	same := func(_, _ map[string]any) {}
	set := func(name string, v any) func(_, c map[string]any) {
		return func(_, c map[string]any) { c[name] = v }
	}
	good := sign(t, k, same)
	flipped := []byte(good)
	flipped[len(flipped)-10] ^= 1
	tests := []struct {
		name  string
		token string
		want  error
	}{
		{"expired", sign(t, k, set("exp", noon.Add(-time.Minute).Unix())), auth.ErrExpired},
		{"expired and forged", sign(t, other, set("exp", noon.Add(-time.Minute).Unix())), auth.ErrToken},
		{"forged", sign(t, other, same), auth.ErrToken},
		{"one bit flipped", string(flipped), auth.ErrToken},
		{"another audience", sign(t, k, set("aud", "shop")), auth.ErrToken},
		{"no audience", sign(t, k, func(_, c map[string]any) { delete(c, "aud") }), auth.ErrToken},
		{"another issuer", sign(t, k, set("iss", "somebody")), auth.ErrToken},
		{"no expiry", sign(t, k, func(_, c map[string]any) { delete(c, "exp") }), auth.ErrToken},
		{"no issue time", sign(t, k, func(_, c map[string]any) { delete(c, "iat") }), auth.ErrToken},
		{"issued tomorrow", sign(t, k, func(_, c map[string]any) {
			c["iat"], c["exp"] = noon.Add(24*time.Hour).Unix(), noon.Add(25*time.Hour).Unix()
		}), auth.ErrToken},
		{"not valid yet", sign(t, k, set("nbf", noon.Add(time.Hour).Unix())), auth.ErrToken},
		{"good for a century", sign(t, k, set("exp", noon.AddDate(100, 0, 0).Unix())), auth.ErrToken},
		{"alg none", sign(t, k, func(h, _ map[string]any) { h["alg"] = "none" }), auth.ErrToken},
		{"alg HS256 with the public key", sign(t, k, func(h, _ map[string]any) { h["alg"] = "HS256" }), auth.ErrToken},
		{"unknown kid", sign(t, k, func(h, _ map[string]any) { h["kid"] = "k2" }), auth.ErrToken},
		{"no kid", sign(t, k, func(h, _ map[string]any) { delete(h, "kid") }), auth.ErrToken},
		{"no subject", sign(t, k, func(_, c map[string]any) { delete(c, "sub") }), auth.ErrSubject},
		{"subject of no role", sign(t, k, set("sub", "root:ann")), auth.ErrSubject},
		{"subject nobody", sign(t, k, set("sub", "nobody:")), auth.ErrSubject},
		{"device without affinity", sign(t, k, set("sub", "device:watch")), auth.ErrSubject},
		{"empty athlete", sign(t, k, set("sub", "athlete:")), auth.ErrSubject},
		{"not a token", "hello", auth.ErrToken},
		{"dots", "..", auth.ErrToken},
		{"very long", strings.Repeat("a.", 2000), auth.ErrToken},
	}
	v := auth.NewVerifier(k, "0.0.0.0:443")
	if _, _, err := v.Verify(good, noon); err != nil {
		t.Fatalf("the good token is refused: %v", err)
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			p, _, err := v.Verify(tt.token, noon)
			if !errors.Is(err, tt.want) || p != (auth.Principal{}) {
				t.Errorf("Verify = %v, %v, want %v", p, err, tt.want)
			}
		})
	}
}

func TestMintRefuses(t *testing.T) {
	k := keys(t, "k1", false)
	for name, g := range map[string]auth.Grant{
		"nobody":   {Now: noon, Life: time.Hour},
		"for ever": {Principal: ann, Now: noon, Life: 1000 * time.Hour * 24},
		"no life":  {Principal: ann, Now: noon},
		"bad id":   {Principal: auth.Principal{Role: auth.Athlete, ID: "a b"}, Now: noon, Life: time.Hour},
	} {
		if token, err := k.Mint(g); err == nil {
			t.Errorf("Mint(%s) = %s, want a refusal", name, token)
		}
	}
	k.Keys[0].Private = nil
	if _, err := k.Mint(auth.Grant{Principal: ann, Now: noon, Life: time.Hour}); err == nil {
		t.Error("a node without a private key mints")
	}
}

func TestDevelopmentKeyIsRefusedOffLoopback(t *testing.T) {
	k := keys(t, "development", true)
	token, err := k.Mint(auth.Grant{Principal: ann, Now: noon, Life: time.Hour})
	if err != nil {
		t.Fatal(err)
	}
	for listen, loopback := range map[string]bool{
		"127.0.0.1:8080": true, "[::1]:8080": true, "localhost:8080": true, "127.9.9.9:1": true,
		"0.0.0.0:8080": false, ":8080": false, "[::]:8080": false, "10.0.0.1:8080": false, "race.example:443": false, "": false,
	} {
		_, _, err := auth.NewVerifier(k, listen).Verify(token, noon)
		if (err == nil) != loopback || !loopback && !errors.Is(err, auth.ErrDevelopmentKey) {
			t.Errorf("Verify on %q = %v, loopback %v", listen, err, loopback)
		}
		if err := k.AllowOn(listen); (err == nil) != loopback {
			t.Errorf("AllowOn(%q) = %v, loopback %v", listen, err, loopback)
		}
	}
	if err := keys(t, "real", false).AllowOn("0.0.0.0:443"); err != nil {
		t.Errorf("AllowOn with a real key = %v", err)
	}
}

func TestKeyFile(t *testing.T) {
	path := filepath.Join(t.TempDir(), "keys.json")
	made, err := auth.OpenKeys(path, rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	if info, err := os.Stat(path); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("mode = %v, %v, want 0600", info.Mode(), err)
	}
	again, err := auth.OpenKeys(path, rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	token, err := made.Mint(auth.Grant{Principal: ann, Now: noon, Life: time.Hour})
	if err != nil {
		t.Fatal(err)
	}
	if _, _, err := auth.NewVerifier(again, "127.0.0.1:1").Verify(token, noon); err != nil {
		t.Errorf("the keys read back do not verify: %v", err)
	}
	for name, content := range map[string]string{"not JSON": "{", "no key": `{"issuer":"x","keys":[]}`, "short key": `{"issuer":"x","keys":[{"kid":"a","public":"AAAA"}]}`} {
		bad := filepath.Join(t.TempDir(), "bad.json")
		if err := os.WriteFile(bad, []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
		if _, err := auth.OpenKeys(bad, rand.Reader); !errors.Is(err, auth.ErrKeyFile) {
			t.Errorf("OpenKeys(%s) = %v, want ErrKeyFile", name, err)
		}
	}
}

func FuzzVerify(f *testing.F) {
	k, err := auth.NewKeys("k1", false, rand.Reader)
	if err != nil {
		f.Fatal(err)
	}
	v := auth.NewVerifier(k, "127.0.0.1:1")
	f.Add("a.b.c")
	f.Add("eyJhbGciOiJub25lIn0.e30.")
	f.Fuzz(func(t *testing.T, token string) {
		if p, _, err := v.Verify(token, noon); err == nil && token != "" {
			t.Errorf("Verify(%q) = %v, nobody signed that", token, p)
		}
	})
}
