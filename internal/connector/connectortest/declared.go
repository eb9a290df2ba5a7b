package connectortest

import (
	"github.com/tidewaiter/tidewaiter/emulator"
	"github.com/tidewaiter/tidewaiter/internal/secret"
	"github.com/tidewaiter/tidewaiter/internal/tidewaiter"
)

// ibmAccount is the account the emulator is in.
const ibmAccount = "emulatedaccount0123456789abcdef0"

// organization is what the emulator calls its only namespace.
const organization = "acme"

// Declared returns an emulator as it is declared, with the credential its kind lists by and the secret that gets in at
// present.
func Declared(kind tidewaiter.RegistryKind, e *emulator.Emulator) (*tidewaiter.Registry, *tidewaiter.Credential, secret.Value) {
	return DeclaredAs(kind, e, e.Login())
}

// DeclaredAs is Declared with another login.
func DeclaredAs(kind tidewaiter.RegistryKind, e *emulator.Emulator, l emulator.Login) (*tidewaiter.Registry, *tidewaiter.Credential, secret.Value) {
	r := &tidewaiter.Registry{ID: "r1", Kind: kind, URL: e.URL, TLS: tidewaiter.TLS{CACert: string(e.CA())}, Settings: map[string]string{}}
	if kind == tidewaiter.KindNexus {
		r.URL = e.API + "/repository/docker-hosted"
	}
	c := &tidewaiter.Credential{ID: "c1", Kind: tidewaiter.CredentialBasic, Username: l.Username, Settings: map[string]string{}}
	return r, c, secret.New(login(kind, l, r.Settings, c))
}

// login completes a credential, and the settings of its registry, and returns the secret.
func login(kind tidewaiter.RegistryKind, l emulator.Login, settings map[string]string, c *tidewaiter.Credential) string {
	token := func(k tidewaiter.CredentialKind) string {
		c.Kind, c.Username = k, ""
		return l.Token
	}
	switch kind {
	case tidewaiter.KindDTR:
		c.Kind = tidewaiter.CredentialDTR
	case tidewaiter.KindDockerHub:
		settings["organization"] = organization
	case tidewaiter.KindECR:
		c.Kind, c.Username = tidewaiter.CredentialAWS, l.AccessKeyID
		settings["region"], settings["accountId"] = l.Region, l.Account
		return l.SecretAccessKey
	case tidewaiter.KindACR:
		c.Kind, c.Settings["tenantId"], c.Settings["clientId"] = tidewaiter.CredentialAzure, l.TenantID, l.ClientID
		return l.ClientSecret
	case tidewaiter.KindGAR:
		c.Kind, c.Username = tidewaiter.CredentialGCP, ""
		return string(l.ServiceAccountJSON)
	case tidewaiter.KindArtifactory:
		return token(tidewaiter.CredentialToken)
	case tidewaiter.KindQuay:
		settings["organization"] = organization
		return `{"docker_cli_password":"` + l.Password + `","oauth2_token":"` + l.Token + `"}`
	case tidewaiter.KindGitLab:
		settings["groupIDs"] = organization
		return token(tidewaiter.CredentialGitLab)
	case tidewaiter.KindGHCR:
		settings["organization"] = organization
		return token(tidewaiter.CredentialToken)
	case tidewaiter.KindOpenShift:
		return token(tidewaiter.CredentialToken)
	case tidewaiter.KindIBM:
		c.Settings["accountGUID"] = ibmAccount
		return token(tidewaiter.CredentialIBM)
	case tidewaiter.KindOCIR:
		c.Kind, c.Username = tidewaiter.CredentialOCI, l.UserOCID
		c.Settings["tenancyId"], c.Settings["fingerprint"] = l.TenancyOCID, l.Fingerprint
		return string(l.PrivateKey)
	}
	return l.Password
}
