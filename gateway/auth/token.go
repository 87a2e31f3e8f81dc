package auth

import (
	"errors"
	"fmt"
	"time"

	"github.com/golang-jwt/jwt/v5"

	"paceline/domain/fault"
)

// Audience is what every access token of ours is for.
const Audience = "paceline"

// MaxTokenLife bounds how long a token may be good for; longer ones are refused even if well signed.
const MaxTokenLife = 90 * 24 * time.Hour

// leeway is how far the clocks of issuer and node may be apart.
const leeway = 30 * time.Second

// Faults of tokens.
var (
	ErrToken   = fault.New(fault.Unauthentic, "auth.token", "The access token is not valid here.")
	ErrExpired = fault.New(fault.Unauthentic, "auth.token_expired", "The access token has expired.")
)

type claims struct {
	jwt.RegisteredClaims
	Organization string `json:"org,omitempty"`
}

// Grant is what a token is made from.
type Grant struct {
	Principal Principal
	Now       time.Time // wall clock
	Life      time.Duration
}

// Mint makes an access token with the keys' signing key.
func (k *Keys) Mint(g Grant) (string, error) {
	key, ok := k.signer()
	if !ok {
		return "", ErrKeyFile.With("no private key")
	}
	if _, err := ParsePrincipal(g.Principal.String()); err != nil {
		return "", err
	}
	if g.Life <= 0 || g.Life > MaxTokenLife {
		return "", ErrToken.With("life %v, at most %v", g.Life, MaxTokenLife)
	}
	t := jwt.NewWithClaims(jwt.SigningMethodEdDSA, claims{
		RegisteredClaims: jwt.RegisteredClaims{
			Issuer: k.Issuer, Subject: g.Principal.String(), Audience: jwt.ClaimStrings{Audience},
			IssuedAt: jwt.NewNumericDate(g.Now), ExpiresAt: jwt.NewNumericDate(g.Now.Add(g.Life)),
		},
		Organization: g.Principal.Organization,
	})
	t.Header["kid"] = key.ID
	s, err := t.SignedString(key.Private)
	if err != nil {
		return "", fmt.Errorf("mint token: %w", err)
	}
	return s, nil
}

// Verifier reads access tokens for one listener.
type Verifier struct {
	keys     *Keys
	loopback bool // development keys count
}

// NewVerifier makes the verifier of a listener; development keys count only if it listens on loopback.
func NewVerifier(k *Keys, listen string) *Verifier {
	return &Verifier{keys: k, loopback: Loopback(listen)}
}

// Verify returns who a token speaks for and until when. An empty token is nobody, for ever. now is wall clock.
func (v *Verifier) Verify(token string, now time.Time) (Principal, time.Time, error) {
	if token == "" {
		return Principal{}, time.Time{}, nil
	}
	var c claims
	_, err := jwt.ParseWithClaims(token, &c, v.key,
		jwt.WithValidMethods([]string{jwt.SigningMethodEdDSA.Alg()}), jwt.WithIssuer(v.keys.Issuer),
		jwt.WithAudience(Audience), jwt.WithExpirationRequired(), jwt.WithIssuedAt(), jwt.WithLeeway(leeway),
		jwt.WithTimeFunc(func() time.Time { return now }), jwt.WithStrictDecoding())
	switch {
	case errors.Is(err, ErrDevelopmentKey):
		return Principal{}, time.Time{}, ErrDevelopmentKey
	case errors.Is(err, jwt.ErrTokenExpired) && !errors.Is(err, jwt.ErrTokenSignatureInvalid):
		return Principal{}, time.Time{}, ErrExpired
	case err != nil:
		return Principal{}, time.Time{}, ErrToken
	case c.IssuedAt == nil || c.ExpiresAt.Sub(c.IssuedAt.Time) > MaxTokenLife:
		return Principal{}, time.Time{}, ErrToken.With("good for too long")
	}
	p, err := ParsePrincipal(c.Subject)
	if err != nil {
		return Principal{}, time.Time{}, err
	}
	if c.Organization != "" {
		p.Organization = c.Organization
	}
	return p, c.ExpiresAt.Time, nil
}

// key finds the key that a token names. The token's own words about keys (jwk, x5u, …) are not listened to.
func (v *Verifier) key(t *jwt.Token) (any, error) {
	kid, _ := t.Header["kid"].(string)
	k, ok := v.keys.find(kid)
	if !ok {
		return nil, jwt.ErrTokenUnverifiable
	}
	if k.Development && !v.loopback {
		return nil, ErrDevelopmentKey
	}
	return k.Public, nil
}
